"""A squashing function with slow tails."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register("softsign", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class Softsign(Activation):
    """Squash into (-1, 1) like tanh, but approach the ends slowly, so that large inputs keep a gradient.

        y = x / (1 + |x|)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     Glorot & Bengio 2010, section 3.
    """

    equations = Equations(
        forward="y = x / (1 + |x|)",
        backward=("dx = dy (1 - |y|)²",),
        latex_forward=r"y = \frac{x}{1 + |x|}",
        latex_backward=(r"\delta_x = \delta_y (1 - |y|)^2",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        largest = jnp.finfo(x.dtype).max
        finite = jnp.clip(x, -largest, largest)  # infinity over infinity is not 1
        y = finite / (1 + jnp.abs(finite))
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy (1 - |y|)²."""
        gap = 1 - jnp.abs(tape)
        return Backward((dy * gap * gap,))
