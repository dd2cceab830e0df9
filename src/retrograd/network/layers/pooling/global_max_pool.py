"""The largest value of each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.shared.window import expect_axes


@layers.register("global_max_pool", examples=examples(({}, [(2, 3, 4, 2)]), ({}, [(1, 5, 3)])))
@dataclass(frozen=True)
class GlobalMaxPool(Layer):
    """Keep the largest value of each channel, over all places.

        y = max over places of x

    Shapes:  x [batch, length, channels] or [batch, height, width, channels] -> y [batch, channels]
    Tape:    x, y
    See:     Of equal values the first one gets the delta, as in PyTorch.
    """

    equations = Equations(
        forward="y = max of x over all places",
        backward=("dx = dy where x is the first to equal y, else 0",),
        latex_forward=r"y = \max_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y [i = \mathrm{argmax}]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_axes(x, 1, 2)
        y = jnp.max(x, tuple(range(1, x.ndim - 1)))
        return Forward(y, (x, y))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        x, y = tape
        places = x.reshape(x.shape[0], -1, x.shape[-1])
        first = jnp.argmax(places == y[:, None], 1)
        wins = jnp.arange(places.shape[1])[:, None] == first[:, None]
        return Backward((jnp.where(wins, dy[:, None], jnp.zeros_like(places)).reshape(x.shape),))
