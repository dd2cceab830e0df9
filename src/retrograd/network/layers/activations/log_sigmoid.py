"""The logarithm of the logistic function."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("log_sigmoid", examples=SHAPES)
@dataclass(frozen=True)
class LogSigmoid(Elementwise):
    """Return log-probabilities of two classes without computing the probability.

        y = -log(1 + exp(-x))

    Shapes:  x [batch, ...] -> y, the same
    """

    equations = Equations(
        forward="y = -log(1 + exp(-x))",
        backward=("dx = dy (1 - exp(y))",),
        latex_forward=r"y = -\log(1 + e^{-x})",
        latex_backward=(r"\delta_x = \delta_y (1 - e^{y})",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.minimum(x, 0) - jnp.log1p(jnp.exp(-jnp.abs(x)))  # the exponent is never positive: no overflow

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return -dy * jnp.expm1(y)
