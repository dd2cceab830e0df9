"""Inputs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Integer
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


@layers.register(
    "concat",
    examples=examples(
        ({}, [(3, 4), (3, 2)]), ({}, [(1, 2, 1), (1, 2, 3), (1, 2, 2)]), ({"axis": 1}, [(2, 3, 4), (2, 1, 4)])
    ),
)
@dataclass(frozen=True)
class Concat(Layer):
    """Join inputs along one axis, by default the features.

        y = [x1, x2, ...]

    Shapes:  x_i [batch, ..., features_i] -> y [batch, ..., sum of features_i]
    Tape:    where to cut dy
    Raises:  ShapeError if the other axes differ, or the axis is the batch axis.
    """

    axis: Annotated[Integer, Words("the axis along which inputs are joined", why="the features")] = -1

    equations = Equations(
        forward="y = [x₁, x₂, ...]",
        backward=("dxᵢ = the part of dy that came from xᵢ",),
        latex_forward=r"y = [x_1, x_2, \dots]",
        latex_backward=(r"\delta_{x_i} = (\delta_y)_i",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        ndim = inputs[0].ndim
        axis = self.axis % ndim if -ndim <= self.axis < ndim else 0
        others = {tuple(n for i, n in enumerate(x.shape) if i != axis) for x in inputs}
        if axis == 0 or len(others) > 1:
            shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
            raise ShapeError(
                f"cannot join {shapes} along axis {self.axis}", cure="only this axis may differ, and not the batch axis"
            )
        cuts = tuple(sum(x.shape[axis] for x in inputs[:i]) for i in range(1, len(inputs)))
        return Forward(jnp.concatenate(inputs, axis), Static((cuts, axis)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        cuts, axis = tape.value
        return Backward(tuple(jnp.split(dy, cuts, axis)))
