"""The rectified linear unit with a ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers

CEILING = 6.0


@layers.register("relu6", examples=examples(({}, [(5, 4)]), ({}, [(1, 3, 1)])))
@dataclass(frozen=True)
class ReLU6(Activation):
    """Keep what is positive, up to 6: outputs fit a narrow integer range on small devices.

        y = min(max(x, 0), 6)

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y
    See:     Krizhevsky 2010. The derivative at 0 and at 6 is 0, as in PyTorch.
    """

    initializer = "he_normal"
    equations = Equations(
        forward="y = min(max(x, 0), 6)",
        backward=("dx = dy where 0 < y < 6, else 0",),
        latex_forward=r"y = \min(\max(x, 0), 6)",
        latex_backward=(r"\delta_x = \delta_y \cdot [0 < y < 6]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = jnp.clip(x, 0, CEILING)
        return Forward(y, y)

    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        """dx = dy where 0 < y < 6, else 0."""
        return Backward((jnp.where((tape > 0) & (tape < CEILING), dy, jnp.zeros_like(dy)),))
