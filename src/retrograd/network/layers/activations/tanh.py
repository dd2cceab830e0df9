"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("tanh", examples=SHAPES)
@dataclass(frozen=True)
class Tanh(Elementwise):
    """Squash into (-1, 1), symmetric about 0.

        y = tanh(x)

    Shapes:  x [batch, ...] -> y, the same
    """

    steepest = 1.0
    equations = Equations(
        forward="y = tanh(x)",
        backward=("dx = dy (1 - y²)",),
        latex_forward=r"y = \tanh(x)",
        latex_backward=(r"\delta_x = \delta_y (1 - y^2)",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.tanh(x)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return dy * (1 - y * y)
