"""The exponential function."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("exponential", examples=SHAPES)
@dataclass(frozen=True)
class Exponential(Elementwise):
    """Make every output positive; equal steps of x multiply y by equal factors.

        y = exp(x)

    Shapes:  x [batch, ...] -> y, the same
    See:     overflows in float32 above x = 88; softplus is safer for positive outputs.
    """

    equations = Equations(
        forward="y = exp(x)",
        backward=("dx = dy y",),
        latex_forward=r"y = e^x",
        latex_backward=(r"\delta_x = \delta_y \odot y",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.exp(x)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return dy * y
