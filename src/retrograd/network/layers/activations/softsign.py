"""A squashing function with slow tails."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("softsign", examples=SHAPES)
@dataclass(frozen=True)
class Softsign(Elementwise):
    """Squash into (-1, 1) like tanh, but approach the ends slowly, so that large inputs keep a gradient.

        y = x / (1 + |x|)

    Shapes:  x [batch, ...] -> y, the same
    See:     Glorot & Bengio 2010, section 3.
    """

    equations = Equations(
        forward="y = x / (1 + |x|)",
        backward=("dx = dy (1 - |y|)²",),
        latex_forward=r"y = \frac{x}{1 + |x|}",
        latex_backward=(r"\delta_x = \delta_y (1 - |y|)^2",),
    )

    @override
    def value(self, x: Array) -> Array:
        largest = jnp.finfo(x.dtype).max
        finite = jnp.clip(x, -largest, largest)  # infinity over infinity is not 1
        return finite / (1 + jnp.abs(finite))

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        gap = 1 - jnp.abs(y)
        return dy * gap * gap
