"""The rectified linear unit with a ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise

CEILING = 6.0


@layers.register("relu6", examples=SHAPES)
@dataclass(frozen=True)
class ReLU6(Elementwise):
    """Keep positive values, up to 6: outputs fit a narrow integer range on small devices.

        y = min(max(x, 0), 6)

    Shapes:  x [batch, ...] -> y, the same
    See:     Krizhevsky 2010. The derivative at 0 and at 6 is 0, as in PyTorch.
    """

    initializer = "he_normal"
    equations = Equations(
        forward="y = min(max(x, 0), 6)",
        backward=("dx = dy where 0 < y < 6, else 0",),
        latex_forward=r"y = \min(\max(x, 0), 6)",
        latex_backward=(r"\delta_x = \delta_y \cdot [0 < y < 6]",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.clip(x, 0, CEILING)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return jnp.where((y > 0) & (y < CEILING), dy, jnp.zeros_like(dy))
