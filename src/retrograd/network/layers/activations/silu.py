"""The sigmoid-weighted linear unit, also called swish."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise

FAR = 50.0  # beyond it s is 0 or 1 to the last bit, in float64 too


@layers.register("silu", examples=SHAPES)
@dataclass(frozen=True)
class SiLU(Elementwise):
    """Weight each input by its own sigmoid.

        y = x s,  s = 1 / (1 + exp(-x))

    Shapes:  x [batch, ...] -> y, the same
    See:     Elfwing et al. 2017, arXiv:1702.03118; called swish in Ramachandran et al. 2017, arXiv:1710.05941.
    """

    initializer = "he_normal"
    tape = "x"  # computing s again is faster than reading it
    equations = Equations(
        forward="y = x s, s = 1 / (1 + exp(-x))",
        backward=("dx = dy · s (1 + x (1 - s))",),
        latex_forward=r"y = x s, \quad s = \frac{1}{1 + e^{-x}}",
        latex_backward=(r"\delta_x = \delta_y \, s (1 + x (1 - s))",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.maximum(x, -FAR) * lax.logistic(x)  # at -infinity 0, not infinity times 0

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        near = jnp.clip(x, -FAR, FAR)
        s = lax.logistic(near)  # by exp: its far tail keeps its digits, which x multiplies
        return dy * s * (1 + near * (1 - s))
