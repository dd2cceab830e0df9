"""The sum of several inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Layer,
    Params,
    Spec,
    State,
    Static,
    examples,
    layers,
)


@layers.register("add", examples=examples(({}, [(3, 4), (3, 4)]), ({}, [(1, 1), (1, 1), (1, 1)])))
@dataclass(frozen=True)
class Add(Layer):
    """Add inputs of one shape element by element.

        y = x1 + x2 + ...

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    the number of inputs
    Raises:  ShapeError when the shapes differ: nothing is broadcast.
    """

    equations = Equations(
        forward="y = x₁ + x₂ + ...",
        backward=("dxᵢ = dy",),
        latex_forward=r"y = \textstyle\sum_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        expect_same_shapes(inputs)
        return Forward(sum(inputs[1:], start=inputs[0]), Static(len(inputs)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy,) * tape.value)


def expect_same_shapes(inputs: tuple[Array | Spec, ...]) -> None:
    """Raise ShapeError unless all inputs of a merge have one shape."""
    shapes = [tuple(x.shape) for x in inputs]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"expected inputs of one shape, got {' and '.join(map(str, shapes))}",
            cure="change the units before it, or give a residual block a `shortcut`",
        )
