"""Shifting the values of each example along axes, filling with zeros."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array


def moved(x: Array, offsets: Mapping[int, Array]) -> Array:
    """Return y[b, ..., i, ...] = x[b, ..., i - offset_b, ...] for each axis and its offsets [batch], 0 outside.

    Its adjoint is the same with negated offsets.
    """
    for axis, offset in offsets.items():
        length = x.shape[axis]
        source = jnp.arange(length, dtype=jnp.int32)[None] - offset[:, None]  # [batch, length]
        shape = [x.shape[0] if i == 0 else length if i == axis else 1 for i in range(x.ndim)]
        taken = jnp.take_along_axis(x, jnp.clip(source, 0, length - 1).reshape(shape), axis)
        x = jnp.where(((source >= 0) & (source < length)).reshape(shape), taken, jnp.zeros_like(taken))
    return x


def moved_back(dy: Array, offsets: Mapping[int, Array]) -> Array:
    """Return the adjoint of `moved`."""
    return moved(dy, {axis: -offset for axis, offset in offsets.items()})
