"""All axes after the batch as one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from jax import Array
from typing_extensions import override

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


@layers.register("flatten", examples=examples(({}, [(3, 2, 4)]), ({}, [(1, 2, 1, 3)]), ({}, [(4,)]), ({}, [(2, 5)])))
@dataclass(frozen=True)
class Flatten(Layer):
    """Lay all axes after the batch out as one row of features.

        y[b, :] = x[b, ...]

    Shapes:  x [batch, ...] -> y [batch, product of the rest]
    Tape:    the shape of x
    See:     the order is row by row with channels innermost; PyTorch's channels come first, so its weights of the next
             dense layer must be permuted.
    """

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x as [batch, features]",
        backward=("dx = dy in the shape of x",),
        latex_forward=r"y = \mathrm{vec}(x)",
        latex_backward=(r"\delta_x = \mathrm{vec}^{-1}(\delta_y)",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(x.reshape(x.shape[0], math.prod(x.shape[1:])), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy.reshape(tape.value),))
