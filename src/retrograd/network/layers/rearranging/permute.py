"""Reordering the axes of an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers


@layers.register("permute", examples=examples(({"axes": [2, 1]}, [(2, 3, 4)]), ({"axes": [3, 1, 2]}, [(1, 2, 3, 2)])))
@dataclass(frozen=True)
class Permute(Layer):
    """Reorder the axes of each example; the batch stays first.

        y[b, i, j] = x[b, j, i]  for axes [2, 1]

    Shapes:  x [batch, a, b, c] -> y [batch, c, a, b] for axes [3, 1, 2]
    Tape:    nothing
    Raises:  ShapeError if x has a different number of axes.
    See:     Axes count from 1, after the batch: Keras's Permute, and PyTorch's permute without its leading 0.
    """

    axes: Annotated[tuple[PositiveInt, ...], Words("the axes in their new order, counted from 1 after the batch")]

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x with its axes in another order",
        backward=("dx = dy with its axes in the first order",),
        latex_forward=r"y_{\pi(i)} = x_i",
        latex_backward=(r"\delta_{x_i} = \delta_{y_{\pi(i)}}",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if sorted(self.axes) != list(range(1, len(self.axes) + 1)):
            yield Problem("axes", f"expected the numbers 1 to {len(self.axes)}, each once; found {list(self.axes)}")

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if x.ndim != len(self.axes) + 1:
            raise ShapeError(f"{len(self.axes)} axes {list(self.axes)} for an input {tuple(x.shape)}", where="axes",
                             cure="one number for each axis after the batch")  # fmt: skip
        return Forward(x.transpose(0, *self.axes))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy.transpose(*map(int, np.argsort((0, *self.axes)))),))
