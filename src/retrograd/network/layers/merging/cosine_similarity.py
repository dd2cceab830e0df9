"""The cosine of the angle between two vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Integer, PositiveFloat
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
from retrograd.network.layers.merging.merge import expect_same_shapes
from retrograd.network.layers.reducing.lengths import unit, unit_back
from retrograd.network.layers.shared.axes import KEPT_AXIS, axes_of


@layers.register(
    "cosine_similarity",
    examples=examples(({}, [(5, 4), (5, 4)]), ({"axis": 1, "keepdim": False}, [(1, 3, 2), (1, 3, 2)])),
)
@dataclass(frozen=True)
class CosineSimilarity(Layer):
    """Compare the directions of two vectors: 1 if equal, 0 at a right angle, -1 if opposite.

        y = sum(u v),  u = x1 / max(|x1|, eps), v = x2 / max(|x2|, eps)

    Shapes:  both x [batch, ..., features] -> y [batch, ..., 1], or without the axis where `keepdim` is false
    Tape:    u, v and the lengths
    Raises:  ShapeError if the shapes differ, or the axis is the batch axis.
    See:     PyTorch's cosine_similarity, which drops the axis (and whose delta differs below eps).
    """

    axis: Annotated[Integer, Words("the axis of one vector", why="the features")] = -1
    eps: Annotated[PositiveFloat, Words("the smallest length to divide by", why="PyTorch's")] = 1e-8
    keepdim: Annotated[bool, KEPT_AXIS] = True

    equations = Equations(
        forward="y = Σ u v, u = x₁ / |x₁|, v = x₂ / |x₂|",
        backward=("dx₁ = dy (v - y u) / |x₁|", "dx₂ = dy (u - y v) / |x₂|"),
        latex_forward=r"y = u \cdot v, \quad u = x_1 / \|x_1\|, \quad v = x_2 / \|x_2\|",
        latex_backward=(r"\delta_{x_1} = \delta_y (v - y u) / \|x_1\|", r"\delta_{x_2} = \delta_y (u - y v) / \|x_2\|"),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x1: Array, x2: Array) -> Forward:
        expect_same_shapes((x1, x2))
        axes = axes_of(x1, self.axis)
        u, v = unit(x1, axes, self.eps), unit(x2, axes, self.eps)
        return Forward(jnp.sum(u.y * v.y, axes, keepdims=self.keepdim), (u, v, Static(axes)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        u, v, static = tape
        dy = dy.reshape(u.length.shape)
        return Backward((unit_back(u, dy * v.y, static.value), unit_back(v, dy * u.y, static.value)))
