"""The sum of several inputs."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.merging.merge import Merge


@layers.register(
    "add",
    examples=examples(
        ({}, [(3, 4), (3, 4)]), ({}, [(1, 1), (1, 1), (1, 1)]), ({"broadcast": True}, [(2, 3, 1, 4), (2, 4), (2, 2, 1)])
    ),
)
@dataclass(frozen=True)
class Add(Merge):
    """Add inputs of one shape element by element.

        y = x1 + x2 + ...

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    the shapes of the inputs
    Raises:  ShapeError if the shapes differ, unless `broadcast` repeats axes that are 1 or missing.
    """

    equations = Equations(
        forward="y = x₁ + x₂ + ...",
        backward=("dxᵢ = dy",),
        latex_forward=r"y = \textstyle\sum_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y",),
    )

    @override
    def value(self, *inputs: Array) -> tuple[Array, tuple[()]]:
        return sum(inputs[1:], start=inputs[0]), ()

    @override
    def deltas(self, kept: tuple[()], dy: Array, count: int) -> tuple[Array, ...]:
        return (dy,) * count
