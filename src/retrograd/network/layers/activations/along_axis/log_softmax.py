"""Scores to log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers
from retrograd.network.layers.shared.axes import Axes, axes_of


@layers.register("log_softmax", examples=examples(({}, [(5, 4)]), ({}, [(1, 1)]), ({"axis": [1, -1]}, [(2, 3, 4)])))
@dataclass(frozen=True)
class LogSoftmax(Activation):
    """Turn scores into log-probabilities, exact even where the probability would round to 0.

        y = x - log(sum(exp(x)))

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    Raises:  ShapeError if the axis is the batch axis, or does not exist.
    """

    axis: Annotated[Axes, Words("the axis (or axes) along which the outputs sum to 1", why="the features")] = -1

    by_element = False
    equations = Equations(
        forward="y = x - log Σ exp(x)",
        backward=("dx = dy - exp(y) Σ dy",),
        latex_forward=r"y_i = x_i - \log \textstyle\sum_j e^{x_j}",
        latex_backward=(r"\delta_{x_i} = \delta_{y_i} - e^{y_i} \textstyle\sum_j \delta_{y_j}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        axes_of(x, self.axis)
        below = x - jnp.max(x, self.axis, keepdims=True)  # the largest exponent is 0: no overflow
        y = below - jnp.log(jnp.sum(jnp.exp(below), self.axis, keepdims=True))
        return Forward(y, y)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy - jnp.exp(tape) * jnp.sum(dy, self.axis, keepdims=True),))
