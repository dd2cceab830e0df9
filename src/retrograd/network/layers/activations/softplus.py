"""The smooth rectifier."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("softplus", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class Softplus(Activation):
    """Return a smooth positive number: variances, rates, widths.

        y = log(1 + exp(x))

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     PyTorch returns x itself above 20; the difference is below 2.1e-9.
    """

    equations = Equations(
        forward="y = log(1 + exp(x))",
        backward=("dx = dy (1 - exp(-y))",),
        latex_forward=r"y = \log(1 + e^x)",
        latex_backward=(r"\delta_x = \delta_y (1 - e^{-y})",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))  # the exponent is never positive: no overflow
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy (1 - exp(-y)), which is dy sigmoid(x)."""
        return Backward((-dy * jnp.expm1(-tape),))
