"""The logistic function."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("sigmoid", examples=SHAPES)
@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """Squash into (0, 1): gates and probabilities of two classes.

        y = 1 / (1 + exp(-x))

    Shapes:  x [batch, ...] -> y, the same
    See:     y is accurate to the round-off of 1, so it is 0 below x = -17 (float32); a loss that takes its logarithm
             should use x itself, as binary_cross_entropy does.
    """

    steepest = 0.25
    equations = Equations(
        forward="y = 1 / (1 + exp(-x))",
        backward=("dx = dy · y (1 - y)",),
        latex_forward=r"y = \frac{1}{1 + e^{-x}}",
        latex_backward=(r"\delta_x = \delta_y \, y (1 - y)",),
    )

    @override
    def value(self, x: Array) -> Array:
        return logistic(x)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return dy * y * (1 - y)


def logistic(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)) = tanh(x / 2) / 2 + 1/2: tanh cannot overflow, and is faster."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5
