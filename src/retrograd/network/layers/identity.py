"""The activation that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("identity", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 2)])))
@dataclass(frozen=True)
class Identity(Activation):
    """Pass the input on: a linear output, or a named point of the graph.

        y = x

    Shapes:  x [batch, ...] -> y, the same
    """

    keeps_scale = True
    equations = Equations(
        forward="y = x",
        backward=("dx = dy",),
        latex_forward=r"y = x",
        latex_backward=(r"\delta_x = \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(x)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy,))
