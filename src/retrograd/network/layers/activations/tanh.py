"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("tanh", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 2)])))
@dataclass(frozen=True)
class Tanh(Activation):
    """Squash into (-1, 1), symmetric about 0.

        y = tanh(x)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    """

    equations = Equations(
        forward="y = tanh(x)",
        backward=("dx = dy (1 - y²)",),
        latex_forward=r"y = \tanh(x)",
        latex_backward=(r"\delta_x = \delta_y (1 - y^2)",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = jnp.tanh(x)
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy (1 - y²)."""
        return Backward((dy * (1 - tape * tape),))
