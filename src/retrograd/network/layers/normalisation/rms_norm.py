"""Normalising each row by its root mean square."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.initializers import draw
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
    expect_features,
    layers,
)
from retrograd.network.layers.normalisation.normalisation import (
    LAST_AXES,
    ONES,
    InitialScale,
    expect_last,
    last,
    scaled,
    scaled_backward,
    widened,
)


@layers.register(
    "rms_norm",
    examples=examples(
        ({}, [(3, 5)]), ({"eps": 0.1}, [(1, 2, 3)]), ({"scale": False}, [(2, 4)]), ({"axes": 2}, [(2, 1, 2, 3)])
    ),
)
@dataclass(frozen=True)
class RMSNorm(Layer):
    """Divide each row by its root mean square, over the last axis or the last few.

        y = scale · x / sqrt(mean(x²) + eps)

    Shapes:  x [batch, ..., features] -> y, the same
    Params:  scale [features], or the lengths of the last `axes` axes
    Tape:    xhat, inverse root mean square of each row
    Raises:  ShapeError if x has no axis left for the batch.
    See:     Zhang & Sennrich 2019, arXiv:1910.07467. Unlike layer norm it keeps the mean, and has no bias. eps as in
             Keras; PyTorch uses the dtype's machine epsilon (1.2e-7).
    """

    axes: Annotated[PositiveInt, LAST_AXES] = field(default=1, kw_only=True)
    eps: Annotated[
        PositiveFloat,
        Words(
            "added to the mean square, to avoid division by 0",
            more="damps small inputs",
            less="divides small inputs closer to 0",
            why="Keras's",
        ),
    ] = 1e-6
    scale: Annotated[
        InitialScale,
        Words("initial values of the learned scale; false for none", why="1: no scaling at the start"),
    ] = ONES

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = scale · x / √(mean(x²) + eps)",
        backward=("g = scale · dy; dx = (g − xhat · mean(g · xhat)) / √(mean(x²) + eps)", "dscale = sum of dy · xhat"),
        latex_forward=r"\hat x = \frac{x}{\sqrt{\overline{x^2} + \epsilon}}, \quad y = \gamma \hat x",
        latex_backward=(
            r"\delta_x = \frac{1}{\sqrt{\overline{x^2} + \epsilon}} \left(\gamma\delta_y"
            r" - \hat x \, \overline{\gamma\delta_y \hat x}\right)",
            r"\nabla_\gamma = \textstyle\sum \delta_y \hat x",
        ),
    )

    @override
    def init(self, key: Array, x: Spec) -> Init:
        return Init({"scale": draw(self.scale, key, "scale", tuple(x.shape[-self.axes :]))} if self.scale else {})

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_features(x, x.shape[-1])
        expect_last(x, self.axes)
        wide = widened(x)
        inverse = lax.rsqrt(jnp.mean(jnp.square(wide), last(self.axes), keepdims=True) + self.eps)
        xhat = wide * inverse
        return Forward(scaled(params, xhat).astype(x.dtype), (xhat, inverse))

    @override
    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        xhat, inverse = tape
        g, grads = scaled_backward(params, dy.astype(xhat.dtype), xhat)
        dx = inverse * (g - xhat * jnp.mean(g * xhat, last(self.axes), keepdims=True))
        return Backward((dx.astype(dy.dtype),), grads)
