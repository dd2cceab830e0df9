"""The self-normalising exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers

# The one pair for which mean 0 and variance 1 of independent inputs is a stable fixed point (the paper's equation 14).
ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805


@layers.register("selu", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class SELU(Activation):
    """Bend like elu, scaled so that signals keep mean 0 and variance 1 through many layers.

        y = scale * (x where x > 0, else alpha (exp(x) - 1)),  scale = 1.0507, alpha = 1.6733

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     Klambauer et al. 2017, arXiv:1706.02515. It needs weights of variance 1 / fan_in: lecun_normal.
    """

    initializer = "lecun_normal"
    equations = Equations(
        forward="y = scale · (x where x > 0, else alpha (exp(x) - 1))",
        backward=("dx = dy · (scale where y > 0, else y + scale · alpha)",),
        latex_forward=r"y = \lambda (\max(x, 0) + \alpha (e^{\min(x, 0)} - 1))",
        latex_backward=(r"\delta_x = \delta_y \cdot (\lambda [y > 0] + (y + \lambda \alpha) [y \le 0])",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = jnp.where(x > 0, SCALE * x, SCALE * ALPHA * jnp.expm1(jnp.minimum(x, 0)))
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy scale where y > 0, else dy (y + scale alpha)."""
        return Backward((dy * jnp.where(tape > 0, SCALE, tape + SCALE * ALPHA),))
