"""Vectors of length 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.quantities import PositiveFloat
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
from retrograd.network.layers.reducing.lengths import unit, unit_back
from retrograd.network.layers.shared.axes import Axes, axes_of

Power = Annotated[float, Field(ge=1, allow_inf_nan=False), Expect("a finite number >= 1")]


@layers.register(
    "normalize",
    examples=examples(({}, [(5, 4)]), ({"p": 3, "axis": [1, 2]}, [(1, 3, 2, 2)]), ({"p": 1, "axis": 1}, [(2, 3, 2)])),
)
@dataclass(frozen=True)
class Normalize(Layer):
    """Divide each vector by its length, keeping only its direction.

        y = x / max(|x|, eps),  |x| = (sum of |x|^p)^(1/p)

    Shapes:  x [batch, ..., features] -> y, the same
    Tape:    y, the lengths, which of them exceed eps
    Raises:  ShapeError if an axis is the batch axis, or does not exist.
    See:     PyTorch's functional.normalize, Keras's UnitNormalization. layer_norm and rms_norm keep the spread at 1.
    """

    p: Annotated[
        Power,
        Words(
            "order of the norm: 2 is the Euclidean length, 1 the sum of absolute values",
            more="the largest value counts most",
            less="all values count equally",
            why="2: the Euclidean length",
        ),
    ] = 2.0
    axis: Annotated[Axes, Words("the axes of one vector", why="the features")] = -1
    eps: Annotated[PositiveFloat, Words("the smallest length to divide by", why="PyTorch's")] = 1e-12

    equations = Equations(
        forward="y = x / max(|x|, eps)",
        backward=("dx = (dy - sign(y) |y|^(p-1) Σ dy y) / |x|, dy / eps where |x| < eps",),
        latex_forward=r"y = x / \max(\|x\|_p, \epsilon)",
        latex_backward=(
            r"\delta_x = (\delta_y - \operatorname{sign}(y) |y|^{p-1} \textstyle\sum \delta_y y) / \|x\|_p",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        axes = axes_of(x, self.axis)
        of = unit(x, axes, self.eps, self.p)
        return Forward(of.y, (of, Static(axes)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        of, axes = tape
        return Backward((unit_back(of, dy, axes.value, self.p),))
