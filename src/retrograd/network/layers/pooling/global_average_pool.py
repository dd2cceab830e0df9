"""The mean of each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Input,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.shared.window import expect_axes


@layers.register(
    "global_average_pool",
    examples=examples(({}, [(2, 3, 4, 2)]), ({}, [(1, 5, 3)]), ({}, [(2, 4, 3), Input((2, 4), "mask")])),
)
@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """Take the mean of each channel, over all positions or those selected by a mask.

        y = sum of x over positions / number of positions

    Shapes:  x [batch, *positions, channels], of one to three axes, [mask [batch, *positions], true where a position
             counts] -> y [batch, channels]; 0 where no position counts
    Tape:    the shape of x; with a mask, the mask and the number of positions that count
    Raises:  ShapeError if a mask does not fit x
    See:     Lin et al. 2014, arXiv:1312.4400: it replaces the wide dense layers at the end of a network. After an
             embedding, with a mask, it gives a bag of words: Iyyer et al. 2015, the deep averaging network.
    """

    equations = Equations(
        forward="y = mean of x over the positions (that the mask names)",
        backward=("dx = dy / number of positions, 0 where the mask is false",),
        latex_forward=r"y = \frac{1}{n} \textstyle\sum_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y / n",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, *mask: Array) -> Forward:
        expect_axes(x, 1, 2, 3)
        places = tuple(range(1, x.ndim - 1))
        if not mask:
            return Forward(jnp.mean(x, places), Static(x.shape))
        counts = expect_mask(x, mask[0]).astype(x.dtype)
        total = jnp.maximum(counts.sum(places), 1)[:, None]
        return Forward(jnp.sum(x * counts[..., None], places) / total, (counts, total))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        if isinstance(tape, Static):
            batch, *places, channels = tape.value
            share = (dy / math.prod(places)).reshape(batch, *(1 for _ in places), channels)
            return Backward((jnp.broadcast_to(share, tape.value),))
        counts, total = tape
        share = (dy / total).reshape(len(dy), *(1 for _ in counts.shape[1:]), -1)
        return Backward((share * counts[..., None], None))


def expect_mask(x: Array, mask: Array) -> Array:
    """Return the mask; raise ShapeError unless it has one entry per position."""
    if mask.shape != x.shape[:-1]:
        message = f"expected a mask of shape {x.shape[:-1]}, got {mask.shape}"
        raise ShapeError(message, cure="give one true or false per position")
    return mask
