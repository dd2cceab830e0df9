"""Reshaping the values of an example."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import LARGEST
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

Length = Annotated[int, Field(ge=-1, le=LARGEST), Expect("a positive integer, or -1 for the remaining length")]


@layers.register(
    "reshape",
    examples=examples(({"shape": [2, 3]}, [(4, 6)]), ({"shape": [-1, 2]}, [(1, 3, 2, 1)]), ({"shape": []}, [(3, 1)])),
)
@dataclass(frozen=True)
class Reshape(Layer):
    """Give the values of each example another shape, row by row; the batch is unchanged.

        y[b] = x[b] as `shape`

    Shapes:  x [batch, ...] -> y [batch, *shape]; one length may be -1: the remaining one
    Tape:    the shape of x
    Raises:  ShapeError if the numbers of values differ.
    """

    shape: Annotated[tuple[Length, ...], Words("lengths of the axes after the batch; -1 for the remaining one")]

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x as [batch, shape]",
        backward=("dx = dy in the shape of x",),
        latex_forward=r"y = \mathrm{reshape}(x)",
        latex_backward=(r"\delta_x = \mathrm{reshape}^{-1}(\delta_y)",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if 0 in self.shape or self.shape.count(-1) > 1:
            yield Problem("shape", f"expected positive lengths, at most one of them -1; found {list(self.shape)}")

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(x.reshape(x.shape[0], *self._lengths(x.shape[1:])), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy.reshape(tape.value),))

    def _lengths(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """Return `shape` with -1 replaced by the remaining length."""
        size, known = math.prod(sizes), math.prod(n for n in self.shape if n != -1)
        lengths = tuple(size // known if n == -1 else n for n in self.shape)
        if math.prod(lengths) != size:
            takes = f"a multiple of {known}" if -1 in self.shape else f"{known}"
            given = f"{size} ({' x '.join(map(str, sizes))})" if len(sizes) > 1 else f"{size}"
            message = f"{list(self.shape)} takes {takes} values per example, but the input has {given}"
            raise ShapeError(message, where="shape")
        return lengths
