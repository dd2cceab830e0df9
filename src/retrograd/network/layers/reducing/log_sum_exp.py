"""The smooth maximum along axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
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
from retrograd.network.layers.shared.axes import KEPT_AXIS, Axes, axes_of


@layers.register(
    "logsumexp",
    examples=examples(({}, [(5, 4)]), ({"axis": [1, -1], "keepdim": False}, [(1, 3, 2, 2)])),
)
@dataclass(frozen=True)
class LogSumExp(Layer):
    """Take the logarithm of summed exponentials: a smooth maximum.

        y = log(sum(exp(x)))

    Shapes:  x [batch, ..., features] -> y [batch, ..., 1], or without the axes where `keepdim` is false
    Tape:    x, y
    Raises:  ShapeError if an axis is the batch axis, or does not exist.
    See:     PyTorch's logsumexp, which drops the axis by default.
    """

    axis: Annotated[Axes, Words("the axes to sum over", why="the features")] = -1
    keepdim: Annotated[bool, KEPT_AXIS] = True

    equations = Equations(
        forward="y = log(Σ exp(x))",
        backward=("dx = dy exp(x - y)",),
        latex_forward=r"y = \log \textstyle\sum_i e^{x_i}",
        latex_backward=(r"\delta_{x_i} = \delta_y e^{x_i - y}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        axes = axes_of(x, self.axis)
        largest = jnp.max(x, axes, keepdims=True)
        largest = jnp.where(jnp.isfinite(largest), largest, jnp.zeros_like(largest))
        y = largest + jnp.log(jnp.sum(jnp.exp(x - largest), axes, keepdims=True))
        return Forward(y if self.keepdim else jnp.squeeze(y, axes), (x, y, Static(axes)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        x, y, _ = tape
        below = jnp.where(jnp.isneginf(y), x, x - y)  # if all x are -infinity, so is y, and the slope is 0
        return Backward((dy.reshape(y.shape) * jnp.exp(below),))
