"""Scores to probabilities, most of which are 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Integer
from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers
from retrograd.network.layers.shared.axes import axes_of


@layers.register("sparsemax", examples=examples(({}, [(5, 4)]), ({"axis": 1}, [(1, 3, 2)])))
@dataclass(frozen=True)
class Sparsemax(Activation):
    """Turn scores into shares that sum to 1, with small ones cut off to 0: the nearest point of the simplex.

        y = max(x - τ, 0),  τ such that sum(y) = 1

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    Raises:  ShapeError if the axis is the batch axis, or does not exist.
    See:     Martins & Astudillo 2016, arXiv:1602.02068. y may be 0, so cross_entropy, which takes log y, does not suit.
    """

    axis: Annotated[Integer, Words("the axis along which the outputs sum to 1", why="the features")] = -1

    by_element = False
    equations = Equations(
        forward="y = max(x - τ, 0), τ such that Σ y = 1",
        backward=("dx = dy - mean of dy where y > 0, else 0",),
        latex_forward=r"y = \max(x - \tau, 0), \quad \textstyle\sum_i y_i = 1",
        latex_backward=(r"\delta_{x_i} = [y_i > 0] (\delta_{y_i} - \operatorname{mean}_{y_j > 0} \delta_{y_j})",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        (axis,) = axes_of(x, self.axis)
        z = jnp.moveaxis(x - jnp.max(x, axis, keepdims=True), axis, -1)
        sinking = -jnp.sort(-z, -1)
        count = jnp.arange(1, z.shape[-1] + 1, dtype=x.dtype).reshape((1,) * (z.ndim - 1) + (-1,))
        above = jnp.cumsum(sinking, -1) - 1
        inside = count * sinking > above  # true for the leading entries, those that are not cut off
        number = jnp.sum(inside, -1, keepdims=True)
        tau = jnp.take_along_axis(above, number - 1, -1) / number.astype(x.dtype)
        y = jnp.moveaxis(jnp.maximum(z - tau, 0), -1, axis)
        return Forward(y, y)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        support = tape > 0
        number = jnp.sum(support, self.axis, keepdims=True).astype(dy.dtype)
        inside = jnp.where(support, dy, jnp.zeros_like(dy))
        mean = jnp.sum(inside, self.axis, keepdims=True) / jnp.maximum(number, 1)
        return Backward((jnp.where(support, dy - mean, jnp.zeros_like(dy)),))
