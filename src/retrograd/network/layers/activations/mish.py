"""Mish, a smooth relative of silu."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise

FAR = 50.0  # beyond it t is 1, or x t is below 1e-20


@layers.register("mish", examples=SHAPES)
@dataclass(frozen=True)
class Mish(Elementwise):
    """Weight each input by the tanh of its softplus.

        y = x t,  t = tanh(log(1 + exp(x)))

    Shapes:  x [batch, ...] -> y, the same
    See:     Misra 2019, arXiv:1908.08681.
    """

    initializer = "he_normal"
    tape = "x"  # computing t again takes one exponential
    equations = Equations(
        forward="y = x t, t = tanh(log(1 + exp(x)))",
        backward=("dx = dy (t + x (1 - t²) / (1 + exp(-x)))",),
        latex_forward=r"y = x t, \quad t = \tanh(\log(1 + e^x))",
        latex_backward=(r"\delta_x = \delta_y \left(t + \frac{x (1 - t^2)}{1 + e^{-x}}\right)",),
    )

    @override
    def value(self, x: Array) -> Array:
        _, t = _gate(x)
        return jnp.maximum(x, -FAR) * t  # at -infinity 0, not infinity times 0

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        e, t = _gate(x)
        near = jnp.clip(x, -FAR, FAR)
        return dy * (t + near * (1 - t * t) * (e / (1 + e)))


def _gate(x: Array) -> tuple[Array, Array]:
    """Return e = exp(x), cut off where t is 1 in float64 too, and t = e (e + 2) / (e (e + 2) + 2)."""
    e = jnp.exp(jnp.minimum(x, 20))
    n = e * (e + 2)
    return e, n / (n + 2)
