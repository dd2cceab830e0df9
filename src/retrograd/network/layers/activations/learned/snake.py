"""A line with waves of a learned length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import (
    Activation,
    Backward,
    Context,
    Equations,
    Forward,
    Init,
    Params,
    Spec,
    State,
    examples,
    expect_features,
    layers,
    rows,
)


@layers.register("snake", examples=examples(({}, [(5, 4)]), ({"first": 0.5}, [(1, 3, 1)])))
@dataclass(frozen=True)
class Snake(Activation):
    """Add waves to the input, so that a network can extrapolate periodic signals beyond its data.

        y = x + sin(a x)^2 / a

    Shapes:  x [batch, ..., features] -> y, the same
    Params:  frequency [features], each starting at `first`
    Tape:    x
    See:     Ziyin et al. 2020, arXiv:2006.08195: a from 5 to 50 for signals that are known to be periodic.
    """

    first: Annotated[
        PositiveFloat,
        Words("initial frequency a; trained", more="shorter waves", less="longer waves", why="the paper's"),
    ] = 1.0

    equations = Equations(
        forward="y = x + sin(a x)² / a",
        backward=("dx = dy (1 + sin(2 a x))", "da = sum of dy (x sin(2 a x) - sin(a x)² / a) / a over the rows"),
        latex_forward=r"y = x + \tfrac{1}{a} \sin^2(a x)",
        latex_backward=(
            r"\delta_x = \delta_y (1 + \sin(2 a x))",
            r"\nabla_a = \textstyle\sum_{rows} \delta_y (x \sin(2 a x) - \sin^2(a x) / a) / a",
        ),
    )

    @override
    def init(self, key: Array, x: Spec) -> Init:
        return Init({"frequency": jnp.full(x.shape[-1:], self.first, jnp.float32)})

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_features(x, params["frequency"].shape[0])
        a = params["frequency"].astype(x.dtype)
        return Forward(x + jnp.sin(a * x) ** 2 / a, x)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        x, frequency = tape, params["frequency"]
        a = frequency.astype(x.dtype)
        twice = jnp.sin(2 * a * x)
        by_a = rows(dy * (x * twice - jnp.sin(a * x) ** 2 / a) / a)
        return Backward((dy * (1 + twice),), {"frequency": by_a.sum(0, dtype=frequency.dtype)})
