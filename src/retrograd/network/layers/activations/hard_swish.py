"""The piecewise version of silu."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise
from retrograd.network.layers.activations.hard_sigmoid import hard_logistic


@layers.register("hard_swish", examples=SHAPES)
@dataclass(frozen=True)
class HardSwish(Elementwise):
    """Weight each input by its hard sigmoid: 0 below -3, x above 3.

        y = x h,  h = min(max(x / 6 + 1/2, 0), 1)

    Shapes:  x [batch, ...] -> y, the same
    See:     Howard et al. 2019, arXiv:1905.02244. The derivative is 0 at -3 and 1 at 3.
    """

    initializer = "he_normal"
    tape = "x"
    equations = Equations(
        forward="y = x h, h = min(max(x / 6 + 1/2, 0), 1)",
        backward=("dx = dy (h + x / 6 where -3 < x < 3, else h)",),
        latex_forward=r"y = x h, \quad h = \min(\max(x / 6 + 1/2, 0), 1)",
        latex_backward=(r"\delta_x = \delta_y (h + \tfrac{x}{6} [-3 < x < 3])",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.maximum(x, -3) * hard_logistic(x)  # at -infinity 0, not infinity times 0

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        h = hard_logistic(x)
        return dy * jnp.where(jnp.abs(x) < 3, h + x / 6, h)
