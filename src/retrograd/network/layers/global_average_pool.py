"""The mean of each channel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array

from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.window import expect_axes


@layers.register("global_average_pool", examples=examples(({}, [(2, 3, 4, 2)]), ({}, [(1, 5, 3)])))
@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """Take the mean of each channel, over all places.

        y = the mean over places of x

    Shapes:  x [batch, length, channels] or [batch, height, width, channels] -> y [batch, channels]
    Tape:    the shape of x
    See:     Lin et al. 2014, arXiv:1312.4400: it stands in for the wide dense layers at the end of a network.
    """

    equations = Equations(
        forward="y = mean of x over all places",
        backward=("dx = dy / number of places",),
        latex_forward=r"y = \frac{1}{n} \textstyle\sum_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y / n",),
    )

    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:  # noqa: D102
        expect_axes(x, 1, 2)
        return Forward(jnp.mean(x, tuple(range(1, x.ndim - 1))), Static(x.shape))

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dx = dy / number of places."""
        batch, *places, channels = tape.value
        each = (dy / math.prod(places)).reshape(batch, *(1 for _ in places), channels)
        return Backward((jnp.broadcast_to(each, tape.value),))
