"""Learned positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveInt
from retrograd.network.initializers import Initial, Normal, draw
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Init,
    Layer,
    Params,
    Spec,
    State,
    examples,
    layers,
)
from retrograd.network.layers.attention.positions import expect_sequence

SMALL = Normal(0.02)  # position vectors start much smaller than those of tokens, as in GPT-2


@layers.register("learned_positions", examples=examples(({}, [(2, 3, 4)]), ({"length": 3}, [(1, 1, 2)])))
@dataclass(frozen=True)
class LearnedPositions(Layer):
    """Add a learned vector for its position to each step of a sequence.

        y(t) = x(t) + W(t)

    Shapes:  x [batch, time, features] -> y, the same
    Params:  weight [length, features]; `length` defaults to that of the first sequences seen
    Raises:  ShapeError if x is not a sequence, or is longer than `length`.
    See:     Gehring et al. 2017, arXiv:1705.03122. Positions beyond the training sequences are never learned.
    """

    length: Annotated[PositiveInt | None, Words("maximum sequence length", why="none: that of the data")] = None
    weight: Annotated[Initial, Words("initial values of the rows", why="small compared with the embedding")] = SMALL

    equations = Equations(
        forward="y(t) = x(t) + W(t)",
        backward=("dx = dy", "dW(t) = the sum of dy(t) over the batch, 0 beyond the sequence"),
        latex_forward=r"y_t = x_t + W_t",
        latex_backward=(r"\delta_x = \delta_y", r"\nabla_{W_t} = \textstyle\sum_{batch} \delta_{y_t}"),
    )

    @override
    def init(self, key: Array, x: Spec) -> Init:
        expect_sequence(x)
        return Init({"weight": draw(self.weight or SMALL, key, "weight", (self.length or x.shape[1], x.shape[2]))})

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_sequence(x)
        weight = params["weight"]
        if x.shape[1] > len(weight):
            raise ShapeError(f"a sequence of {x.shape[1]} steps exceeds {len(weight)} positions",
                             cure="set a larger `length`")  # fmt: skip
        return Forward(x + weight[None, : x.shape[1]].astype(x.dtype))

    @override
    def backward(self, params: Params, tape: None, dy: Array) -> Backward:
        weight = params["weight"]
        grad = dy.sum(0, dtype=weight.dtype)
        missing = len(weight) - len(grad)
        return Backward((dy,), {"weight": jnp.pad(grad, ((0, missing), (0, 0)))})
