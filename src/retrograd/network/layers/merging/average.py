"""The mean of several inputs."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.merging.merge import Merge


@layers.register("average", examples=examples(({}, [(3, 4), (3, 4)]), ({}, [(1, 2, 1), (1, 2, 1), (1, 2, 1)])))
@dataclass(frozen=True)
class Average(Merge):
    """Take the mean of inputs of one shape, element by element.

        y = (x1 + x2 + ...) / n

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    the shapes of the inputs
    Raises:  ShapeError if the shapes differ, unless `broadcast` repeats axes that are 1 or missing.
    """

    equations = Equations(
        forward="y = (x₁ + x₂ + ...) / n",
        backward=("dxᵢ = dy / n",),
        latex_forward=r"y = \tfrac{1}{n} \textstyle\sum_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y / n",),
    )

    @override
    def value(self, *inputs: Array) -> tuple[Array, tuple[()]]:
        return sum(inputs[1:], start=inputs[0]) / len(inputs), ()

    @override
    def deltas(self, kept: tuple[()], dy: Array, count: int) -> tuple[Array, ...]:
        return (dy / count,) * count
