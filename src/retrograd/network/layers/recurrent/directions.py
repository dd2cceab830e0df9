"""Merging the two directions of a recurrent layer into one output, and splitting its delta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
from jax import Array

Merging = Literal["concat", "sum", "average", "multiply"]


def merged(ends: Sequence[Array], merging: Merging) -> Array:
    """Return the outputs of the directions as one array."""
    if merging == "concat" or len(ends) == 1:
        return jnp.concatenate(ends, -1)
    if merging == "multiply":
        return ends[0] * ends[1]
    return (ends[0] + ends[1]) * (0.5 if merging == "average" else 1.0)


def parted(delta: Array, ends: Sequence[Array], merging: Merging) -> Sequence[Array]:
    """Return the delta of each direction: the adjoint of `merged`."""
    if merging == "concat" or len(ends) == 1:
        return jnp.split(delta, len(ends), -1)
    if merging == "multiply":
        return delta * ends[1], delta * ends[0]
    return (delta * (0.5 if merging == "average" else 1.0),) * 2
