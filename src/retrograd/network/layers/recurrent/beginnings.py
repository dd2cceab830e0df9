"""What a recurrent loop starts from: the mask, and the initial states."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.base.sentence import entry_setting, sentence
from retrograd.network.layers.recurrent.through_time import States

SEQUENCE = sentence(
    "set {} on the previous recurrent layer, or put an embedding or reshape before it",
    entry_setting("output", "sequence"),
)


def masked_start(
    x: Array, others: Sequence[Array], widths: Sequence[int], directions: int
) -> tuple[Array | None, tuple[States, ...]]:
    """Return the mask [time, batch, 1], and each direction's initial states, zeros by default.

    widths: of each state in one direction; `others` hold those of all directions side by side.
    Raises:  ShapeError if x is not a sequence, or a mask or state does not fit it.
    """
    if x.ndim != 3:
        raise ShapeError(
            f"expected (batch, time, features), got {tuple(x.shape)}",
            cure=SEQUENCE,
        )
    masks = [other for other in others if other.dtype == jnp.bool_]
    states = [other for other in others if other.dtype != jnp.bool_]
    if len(masks) > 1 or any(mask.shape != x.shape[:2] for mask in masks):
        shapes = " and ".join(str(tuple(mask.shape)) for mask in masks)
        raise ShapeError(f"expected one mask (batch, time) = {tuple(x.shape[:2])}, got {shapes}")
    expected = [(len(x), width * directions) for width in widths]
    if states and [state.shape for state in states] != expected:
        needed, shapes = (" and ".join(map(str, both)) for both in (expected, [tuple(s.shape) for s in states]))
        raise ShapeError(f"initial states: expected {needed}, got {shapes}", cure="a mask must hold true or false")
    initial = [jnp.split(state.astype(x.dtype), directions, -1) for state in states]
    initial = initial or [[jnp.zeros((len(x), width), x.dtype)] * directions for width in widths]
    return masks[0].T[..., None] if masks else None, tuple(zip(*initial, strict=True))
