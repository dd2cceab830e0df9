"""The rectified linear unit with a learned leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Number
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


@layers.register(
    "prelu", examples=examples(({}, [(5, 4)]), ({"first": 0.1}, [(1, 3, 1)]), ({"shared": True}, [(2, 3, 5)]))
)
@dataclass(frozen=True)
class PReLU(Activation):
    """Keep positive values, and a learned share of negative ones for each feature.

        y = x where x > 0, else slope * x

    Shapes:  x [batch, ..., features] -> y, the same
    Params:  slope [features], each starting at `first`; `shared`: slope [1]
    Tape:    x
    See:     He et al. 2015, arXiv:1502.01852. PyTorch has one slope for all features (`shared`) unless given their
             number.
    """

    first: Annotated[
        Number,
        Words(
            "initial slope for negative inputs; trained",
            more="starts closer to the identity",
            less="starts closer to relu",
            why="0.25, the paper's",
        ),
    ] = 0.25

    shared: Annotated[
        bool, Words("whether all features share one slope", why="false: one each, the paper's channel-wise variant")
    ] = False

    initializer = "he_normal"
    equations = Equations(
        forward="y = x where x > 0, else slope · x",
        backward=("dx = dy where x > 0, else slope · dy", "dslope = sum of x dy over the rows where x ≤ 0"),
        latex_forward=r"y = \max(x, 0) + a \min(x, 0)",
        latex_backward=(
            r"\delta_x = \delta_y \cdot ([x > 0] + a [x \le 0])",
            r"\nabla_a = \textstyle\sum_{rows} \delta_y \min(x, 0)",
        ),
    )

    @override
    def init(self, key: Array, x: Spec) -> Init:
        return Init({"slope": jnp.full((1,) if self.shared else x.shape[-1:], self.first, jnp.float32)})

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        slope = params["slope"]
        expect_features(x, x.shape[-1] if self.shared else slope.shape[0])
        return Forward(jnp.where(x > 0, x, slope.astype(x.dtype) * x), x)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        x, slope = tape, params["slope"]
        leaked = rows(dy * jnp.minimum(x, 0))
        grads = {"slope": leaked.sum(0, dtype=slope.dtype)}
        if self.shared:
            grads = {"slope": grads["slope"].sum(keepdims=True)}
        return Backward((jnp.where(x > 0, dy, slope.astype(x.dtype) * dy),), grads)
