"""Padding an image or sequence with copies of its own values instead of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.base.errors import ShapeError

PaddingMode = Literal["zeros", "circular", "reflect", "replicate"]
Margins = Sequence[tuple[int, int]]


def pad(x: Array, margins: Margins, mode: PaddingMode) -> Array:
    """Return x [batch, *axes, channels] with margins copied from inside: the other end, the mirror, or the edge.

    Raises:  ShapeError if an axis is too short for its margin.
    """
    for axis, (length, (low, high)) in enumerate(zip(x.shape[1:-1], margins, strict=True), 1):
        largest = {"circular": length, "reflect": length - 1, "replicate": max(low, high)}[mode]
        if max(low, high) > largest:
            raise ShapeError(f"an axis of {length} is too short for {mode} padding of {max(low, high)}")
        x = jnp.take(x, _sources(length, low, high, mode), axis, mode="clip")
    return x


def pad_back(dx: Array, lengths: Sequence[int], margins: Margins, mode: PaddingMode) -> Array:
    """Return the deltas of x: those in a margin are added to the positions that were copied."""
    for axis, (length, (low, high)) in enumerate(zip(lengths, margins, strict=True), 1):
        turned = jnp.moveaxis(dx, axis, 0)
        sources = _sources(length, low, high, mode)
        outside = np.r_[0:low, low + length : low + length + high]
        core = turned[low : low + length].at[sources[outside]].add(turned[outside])
        dx = jnp.moveaxis(core, 0, axis)
    return dx


def _sources(length: int, low: int, high: int, mode: PaddingMode) -> np.ndarray:
    """Return the source index of each position on the padded axis."""
    places = np.arange(-low, length + high)
    if mode == "circular":
        return places % length
    if mode == "reflect":
        places = (length - 1) - np.abs((length - 1) - np.abs(places))
    return np.clip(places, 0, length - 1)
