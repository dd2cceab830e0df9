"""The Gaussian error linear unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers

SLOPE = math.sqrt(2 / math.pi)  # of erf(x / sqrt 2) at 0, and of the tanh that approximates it
CUBIC = 0.044715
FAR = 50.0  # beyond it both forms are 0 or x to the last bit, and their slopes 0 or 1, in float64 too


@layers.register(
    "gelu",
    examples=examples(
        ({}, [(5, 4)]), ({"approximate": True}, [(5, 4)]), ({}, [(1, 3, 1)]), ({"approximate": True}, [(1, 1)])
    ),
)
@dataclass(frozen=True)
class GELU(Activation):
    """Weight each input by the probability that a standard Gaussian is smaller.

        y = x (1 + t) / 2,  t = erf(x / sqrt 2),  or approximate: t = tanh(sqrt(2/pi) (x + 0.044715 x^3))

    Shapes:  x [batch, ...] -> y, the same
    Tape:    x, p = (1 + t) / 2; the approximate p is a sigmoid, whose far tail keeps the digits that tanh would lose
    See:     Hendrycks & Gimpel 2016, arXiv:1606.08415. Exact by default, as PyTorch and Keras;
             jax.nn.gelu defaults to the tanh.
    """

    approximate: Annotated[
        bool, Words("whether to use the tanh approximation", why="false: exact; they differ by up to 0.0005")
    ] = False

    initializer = "he_normal"
    equations = Equations(
        forward="y = x (1 + t) / 2, t = erf(x / √2)",
        backward=(
            "dx = dy ((1 + t) / 2 + x t' / 2)",
            "t' = √(2/π) exp(-x²/2)",
        ),
        latex_forward=r"y = \tfrac{1}{2} x (1 + t), \quad t = \mathrm{erf}(x / \sqrt{2})",
        latex_backward=(
            r"\delta_x = \tfrac{1}{2} \delta_y (1 + t + x t')",
            r"t' = \sqrt{2 / \pi} \, e^{-x^2 / 2}",
        ),
    )

    @override
    def formulas(self) -> Equations:
        if not self.approximate:
            return self.equations
        return Equations(
            forward="y = x (1 + t) / 2, t = tanh(√(2/π) (x + 0.044715 x³))",
            backward=(self.equations.backward[0], "t' = √(2/π) (1 + 0.134145 x²) (1 - t²)"),
            latex_forward=r"y = \tfrac{1}{2} x (1 + t), \quad t = \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3))",
            latex_backward=(self.equations.latex_backward[0], r"t' = \sqrt{2 / \pi} (1 + 0.134145 x^2) (1 - t^2)"),
        )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        near = jnp.clip(x, -FAR, FAR)  # x³ would overflow
        if self.approximate:  # (1 + tanh u) / 2 = sigmoid(2 u)
            p = lax.logistic(2 * SLOPE * near * (1 + CUBIC * near * near))
        else:
            p = 0.5 + 0.5 * lax.erf(math.sqrt(0.5) * x)
        return Forward(jnp.maximum(x, -FAR) * p, (x, p))  # at -infinity 0, not infinity times 0

    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        """dx = dy (p + x t' / 2); of the approximate form 1 - t² = 4 p (1 - p)."""
        x, p = tape
        near = jnp.clip(x, -FAR, FAR)
        squared = near * near
        slope = 4 * (1 + 3 * CUBIC * squared) * p * (1 - p) if self.approximate else jnp.exp(-0.5 * squared)
        return Backward((dy * (p + (0.5 * SLOPE) * near * slope),))
