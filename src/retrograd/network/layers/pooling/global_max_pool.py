"""The largest value of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Backward, Context, Equations, Forward, Input, Layer, Params, State, examples, layers
from retrograd.network.layers.pooling.global_average_pool import expect_mask
from retrograd.network.layers.shared.window import expect_axes


@layers.register(
    "global_max_pool",
    examples=examples(({}, [(2, 2, 3, 2)]), ({}, [(1, 5, 3)]), ({}, [(2, 4, 3), Input((2, 4), "mask")])),
)
@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """Keep the largest value of each channel, over all positions or those selected by a mask.

        y = max over positions of x

    Shapes:  x [batch, *positions, channels], of one to three axes, [mask [batch, *positions], true where a position
             counts] -> y [batch, channels]; 0 where no position counts
    Tape:    x (-infinity where the mask is false), y; with a mask, whether any position counts
    Raises:  ShapeError if a mask does not fit x
    See:     Of equal values the first one gets the delta, as in PyTorch.
    """

    equations = Equations(
        forward="y = max of x over the positions (that the mask names)",
        backward=("dx = dy where x is the first to equal y, else 0",),
        latex_forward=r"y = \max_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y [i = \mathrm{argmax}]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, *mask: Array) -> Forward:
        places = tuple(range(1, len(expect_axes(x, 1, 2, 3)) + 1))
        if not mask:
            y = jnp.max(x, places)
            return Forward(y, (x, y, None))
        x = jnp.where(expect_mask(x, mask[0])[..., None], x, jnp.asarray(-jnp.inf, x.dtype))
        y, counts = jnp.max(x, places), jnp.any(mask[0], places)[:, None]
        return Forward(jnp.where(counts, y, jnp.zeros_like(y)), (x, y, counts))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        x, y, counts = tape
        places = x.reshape(x.shape[0], -1, x.shape[-1])
        first = jnp.argmax(places == y[:, None], 1)
        wins = jnp.arange(places.shape[1])[:, None] == first[:, None]
        dy = dy if counts is None else jnp.where(counts, dy, jnp.zeros_like(dy))
        dx = jnp.where(wins, dy[:, None], jnp.zeros_like(places)).reshape(x.shape)
        return Backward((dx,) if counts is None else (dx, None))
