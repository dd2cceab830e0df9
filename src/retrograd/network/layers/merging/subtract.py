"""The difference of two inputs."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.base.sentence import entry_setting
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.merging.merge import Merge


@layers.register("subtract", examples=examples(({}, [(3, 4), (3, 4)]), ({"broadcast": True}, [(1, 2, 3), (1, 3)])))
@dataclass(frozen=True)
class Subtract(Merge):
    """Subtract the second of two inputs from the first, element by element.

        y = x1 - x2

    Shapes:  both x [batch, ...] -> y, the same
    Tape:    the shapes of the inputs
    Raises:  ShapeError unless there are two inputs of one shape, or `broadcast` repeats axes that are 1 or missing.
    """

    equations = Equations(
        forward="y = x₁ - x₂",
        backward=("dx₁ = dy, dx₂ = -dy",),
        latex_forward=r"y = x_1 - x_2",
        latex_backward=(r"\delta_{x_1} = \delta_y, \quad \delta_{x_2} = -\delta_y",),
    )

    @override
    def value(self, *inputs: Array) -> tuple[Array, tuple[()]]:
        if len(inputs) != 2:
            raise ShapeError(
                f"expected two inputs, got {len(inputs)}",
                cure="name both: " + entry_setting("inputs", "[first, second]"),
            )
        return inputs[0] - inputs[1], ()

    @override
    def deltas(self, kept: tuple[()], dy: Array, count: int) -> tuple[Array, ...]:
        return dy, -dy
