"""The smooth rectifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("softplus", examples=(*SHAPES, *examples(({"beta": 2}, [(2, 3)]))))
@dataclass(frozen=True)
class Softplus(Elementwise):
    """Return a smooth positive number: variances, rates, widths.

        y = log(1 + exp(beta x)) / beta

    Shapes:  x [batch, ...] -> y, the same
    See:     PyTorch returns x itself above 20; the difference is below 2.1e-9.
    """

    beta: Annotated[
        PositiveFloat, Words("sharpness of the bend", more="closer to relu", less="a wider bend", why="1: as PyTorch")
    ] = 1.0

    equations = Equations(
        forward="y = log(1 + exp(beta x)) / beta",
        backward=("dx = dy (1 - exp(-beta y))",),
        latex_forward=r"y = \tfrac{1}{\beta} \log(1 + e^{\beta x})",
        latex_backward=(r"\delta_x = \delta_y (1 - e^{-\beta y})",),
    )

    @override
    def value(self, x: Array) -> Array:
        bend = jnp.exp(-self.beta * jnp.abs(x))  # the exponent is never positive: no overflow
        return jnp.maximum(x, 0) + jnp.log1p(bend) / self.beta

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return -dy * jnp.expm1(-self.beta * y)  # dy sigmoid(beta x)
