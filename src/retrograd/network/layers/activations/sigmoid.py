"""The logistic function."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("sigmoid", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class Sigmoid(Activation):
    """Squash into (0, 1): gates and probabilities of two classes.

        y = 1 / (1 + exp(-x)) = tanh(x / 2) / 2 + 1/2

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     tanh cannot overflow and is the faster way. y is right to the round-off of 1, so below x = -17 (float32) it
             is 0; a loss that takes its logarithm should act on x itself, as binary_cross_entropy does.
    """

    equations = Equations(
        forward="y = 1 / (1 + exp(-x))",
        backward=("dx = dy · y (1 - y)",),
        latex_forward=r"y = \frac{1}{1 + e^{-x}}",
        latex_backward=(r"\delta_x = \delta_y \, y (1 - y)",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = logistic(x)
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy y (1 - y)."""
        return Backward((dy * tape * (1 - tape),))


def logistic(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5
