"""The rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("relu", examples=SHAPES)
@dataclass(frozen=True)
class ReLU(Elementwise):
    """Keep what is positive.

        y = max(x, 0)

    Shapes:  x [batch, ...] -> y, the same
    See:     Nair & Hinton 2010. The derivative at 0 is 0, as in PyTorch.
    """

    initializer = "he_normal"
    steepest = 1.0
    equations = Equations(
        forward="y = max(x, 0)",
        backward=("dx = dy where y > 0, else 0",),
        latex_forward=r"y = \max(x, 0)",
        latex_backward=(r"\delta_x = \delta_y \cdot [y > 0]",),
    )

    @override
    def value(self, x: Array) -> Array:
        return relu(x)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return relu_back(y, dy)


def relu(x: Array) -> Array:
    """Return max(x, 0); NaN passes through."""
    return jnp.maximum(x, jnp.zeros_like(x))


def relu_back(y: Array, dy: Array) -> Array:
    """Return dy where y > 0, else 0."""
    return jnp.where(y > 0, dy, jnp.zeros_like(dy))
