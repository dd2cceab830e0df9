"""Mish, a smooth relative of silu."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers

FAR = 50.0  # beyond it t is 1, or x t is smaller than 1e-20


@layers.register("mish", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class Mish(Activation):
    """Weigh each input by the tanh of its softplus.

        y = x t,  t = tanh(log(1 + e)) = e (e + 2) / (e (e + 2) + 2),  e = exp(x)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    x: computing t again takes one exponential
    See:     Misra 2019, arXiv:1908.08681.
    """

    initializer = "he_normal"
    equations = Equations(
        forward="y = x t, t = tanh(log(1 + exp(x)))",
        backward=("dx = dy (t + x (1 - t²) / (1 + exp(-x)))",),
        latex_forward=r"y = x t, \quad t = \tanh(\log(1 + e^x))",
        latex_backward=(r"\delta_x = \delta_y \left(t + \frac{x (1 - t^2)}{1 + e^{-x}}\right)",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        _, t = _gate(x)
        return Forward(jnp.maximum(x, -FAR) * t, x)  # at -infinity 0, not infinity times 0

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy (t + x (1 - t²) sigmoid(x))."""
        e, t = _gate(tape)
        near = jnp.clip(tape, -FAR, FAR)
        return Backward((dy * (t + near * (1 - t * t) * (e / (1 + e))),))


def _gate(x: Array) -> tuple[Array, Array]:
    """Return e = exp(x), cut off where t is 1 in float64 too, and t."""
    e = jnp.exp(jnp.minimum(x, 20))
    n = e * (e + 2)
    return e, n / (n + 2)
