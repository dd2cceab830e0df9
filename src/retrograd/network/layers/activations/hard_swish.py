"""Silu drawn with a ruler."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers
from retrograd.network.layers.activations.hard_sigmoid import hard_logistic


@layers.register("hard_swish", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class HardSwish(Activation):
    """Weigh each input by its hard sigmoid: 0 below -3, x above 3.

        y = x h,  h = min(max(x / 6 + 1/2, 0), 1)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    x
    See:     Howard et al. 2019, arXiv:1905.02244. The derivative is 0 at -3 and 1 at 3.
    """

    initializer = "he_normal"
    equations = Equations(
        forward="y = x h, h = min(max(x / 6 + 1/2, 0), 1)",
        backward=("dx = dy (h + x / 6 where -3 < x < 3, else h)",),
        latex_forward=r"y = x h, \quad h = \min(\max(x / 6 + 1/2, 0), 1)",
        latex_backward=(r"\delta_x = \delta_y (h + \tfrac{x}{6} [-3 < x < 3])",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(jnp.maximum(x, -3) * hard_logistic(x), x)  # at -infinity 0, not infinity times 0

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy (h + x / 6 where -3 < x < 3, else h)."""
        h = hard_logistic(tape)
        return Backward((dy * jnp.where(jnp.abs(tape) < 3, h + tape / 6, h),))
