"""The exponential function."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("exponential", examples=examples(({}, [(4, 3)]), ({}, [(1, 3, 2)])))
@dataclass(frozen=True)
class Exponential(Activation):
    """Make every output positive; equal steps of x multiply y by equal factors.

        y = exp(x)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     overflows in float32 above x = 88: for positive outputs softplus is the safer choice.
    """

    equations = Equations(
        forward="y = exp(x)",
        backward=("dx = dy y",),
        latex_forward=r"y = e^x",
        latex_backward=(r"\delta_x = \delta_y \odot y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = jnp.exp(x)
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy y."""
        return Backward((dy * tape,))
