"""Scores to probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.network.layer import (
    Activation,
    Backward,
    Context,
    Equations,
    Forward,
    Params,
    State,
    examples,
    layers,
)
from retrograd.network.layers.shared.axes import Axes, axes_of


@layers.register(
    "softmax", examples=examples(({}, [(5, 4)]), ({}, [(1, 1)]), ({"axis": [1, -1]}, [(2, 3, 4)]), ({}, [(2, 1, 3)]))
)
@dataclass(frozen=True)
class Softmax(Activation):
    """Turn scores into positive numbers that sum to 1.

        y = exp(x) / sum(exp(x))

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    Raises:  ShapeError if the axis is the batch axis, or does not exist.
    See:     cross_entropy takes the scores: no softmax layer before it. A row of only -infinity gives NaN.
    """

    axis: Annotated[Axes, Words("the axis (or axes) along which the outputs sum to 1", why="the features")] = -1

    by_element = False
    equations = Equations(
        forward="y = exp(x) / Σ exp(x)",
        backward=("dx = y (dy - Σ dy y)",),
        latex_forward=r"y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}",
        latex_backward=(r"\delta_{x_i} = y_i (\delta_{y_i} - \textstyle\sum_j \delta_{y_j} y_j)",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        axes_of(x, self.axis)
        e = jnp.exp(x - jnp.max(x, self.axis, keepdims=True))  # the largest exponent is 0: no overflow
        y = e / jnp.sum(e, self.axis, keepdims=True)
        return Forward(y, y)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        y = tape
        return Backward((y * (dy - jnp.sum(dy * y, self.axis, keepdims=True)),))
