"""Reading images between their pixels: bilinear, zero outside, with the exact adjoint."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Reading(NamedTuple):
    """For each pixel of the new image, the four old pixels around the position that it reads, and their shares.

    Shapes:  places [4, batch, height * width], indices of old pixels; shares, the same, 0 outside the image
    """

    places: Array
    shares: Array


def reading(x: Array, matrix: Array) -> Reading:
    """Return where new images read old ones x: at matrix [batch, 2, 2] times the position relative to the centre.

    Shapes:  x [batch, height, width, channels]
    """
    height, width = x.shape[1:3]
    down, right = (jnp.arange(n, dtype=matrix.dtype) - (n - 1) / 2 for n in (height, width))
    places = jnp.stack(jnp.meshgrid(down, right, indexing="ij")).reshape(2, -1)  # [2, pixels]
    centre = jnp.array([(height - 1) / 2, (width - 1) / 2], matrix.dtype)
    source = jnp.einsum("bij,jp->bip", matrix, places) + centre[None, :, None]
    first = jnp.floor(source)
    after = source - first  # how far beyond the first pixel, from 0 to 1
    numbers, shares = [], []
    for i in (0, 1):
        for j in (0, 1):
            row, column = (first[:, axis] + step for axis, step in ((0, i), (1, j)))
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            share = (after[:, 0] if i else 1 - after[:, 0]) * (after[:, 1] if j else 1 - after[:, 1])
            number = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
            numbers.append(number.astype(jnp.int32))
            shares.append(jnp.where(inside, share, jnp.zeros_like(share)))
    return Reading(jnp.stack(numbers), jnp.stack(shares))


def read(x: Array, by: Reading) -> Array:
    """Return y[p] = sum over the four pixels q around its source of share[q] x[q]."""
    flat = x.reshape(x.shape[0], -1, x.shape[-1])
    parts = (
        jnp.take_along_axis(flat, places[..., None], 1) * shares[..., None]
        for places, shares in zip(by.places, by.shares, strict=True)
    )
    y: Array = sum(parts, start=jnp.zeros_like(flat))
    return y.reshape(x.shape)


def spread(dy: Array, by: Reading) -> Array:
    """Return the adjoint of `read`: each new pixel's delta goes, by the same shares, to the four that it reads."""
    flat = dy.reshape(dy.shape[0], -1, dy.shape[-1])
    examples = jnp.arange(dy.shape[0], dtype=jnp.int32)[:, None]
    dx = jnp.zeros_like(flat)
    for places, shares in zip(by.places, by.shares, strict=True):
        dx = dx.at[examples, places].add(flat * shares[..., None])
    return dx.reshape(dy.shape)


def rotation(angle: Array) -> Array:
    """Return the rotation matrices [batch, 2, 2] for angles in radians [batch]."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, -sin], -1), jnp.stack([sin, cos], -1)], -2)


def radians(degrees: float) -> float:
    """Return an angle in radians."""
    return degrees * math.pi / 180
