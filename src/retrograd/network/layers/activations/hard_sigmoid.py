"""The sigmoid drawn with a ruler."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("hard_sigmoid", examples=SHAPES)
@dataclass(frozen=True)
class HardSigmoid(Elementwise):
    """Approximate the sigmoid by a straight line between -3 and 3: no exponential on small devices.

        y = min(max(x / 6 + 1/2, 0), 1)

    Shapes:  x [batch, ...] -> y, the same
    See:     Howard et al. 2019, arXiv:1905.02244. Slope 1/6 as in PyTorch and Keras 3 (ONNX defaults to 0.2).
    """

    tape = "x"
    equations = Equations(
        forward="y = min(max(x / 6 + 1/2, 0), 1)",
        backward=("dx = dy / 6 where -3 < x < 3, else 0",),
        latex_forward=r"y = \min(\max(x / 6 + 1/2, 0), 1)",
        latex_backward=(r"\delta_x = \tfrac{1}{6} \delta_y \cdot [-3 < x < 3]",),
    )

    @override
    def value(self, x: Array) -> Array:
        return hard_logistic(x)

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        return jnp.where(jnp.abs(x) < 3, dy / 6, jnp.zeros_like(dy))


def hard_logistic(x: Array) -> Array:
    """Return x / 6 + 1/2, cut to [0, 1]; cut before the division, so that the ends are exactly 0 and 1."""
    return jnp.clip(x + 3, 0, 6) / 6
