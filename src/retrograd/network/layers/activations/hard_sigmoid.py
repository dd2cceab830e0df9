"""The piecewise linear sigmoid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("hard_sigmoid", examples=(*SHAPES, *examples(({"slope": 0.2}, [(2, 3)]))))
@dataclass(frozen=True)
class HardSigmoid(Elementwise):
    """Approximate the sigmoid by a straight line, by default between -3 and 3: no exponential on small devices.

        y = min(max(slope x + 1/2, 0), 1)

    Shapes:  x [batch, ...] -> y, the same
    See:     Howard et al. 2019, arXiv:1905.02244. Slope 1/6 as in PyTorch and Keras 3 (ONNX, Keras 2: 0.2).
    """

    slope: Annotated[
        PositiveFloat, Words("slope of the line", more="a steeper step", less="a gentler one", why="1/6: as PyTorch")
    ] = 1 / 6

    tape = "x"
    equations = Equations(
        forward="y = min(max(slope x + 1/2, 0), 1)",
        backward=("dx = slope dy where 0 < y < 1, else 0",),
        latex_forward=r"y = \min(\max(s x + 1/2, 0), 1)",
        latex_backward=(r"\delta_x = s \, \delta_y \cdot [0 < y < 1]",),
    )

    @override
    def value(self, x: Array) -> Array:
        return hard_logistic(x, 1 / self.slope)

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        width = 1 / self.slope
        return jnp.where(jnp.abs(x) < width / 2, dy / width, jnp.zeros_like(dy))


def hard_logistic(x: Array, width: float = 6.0) -> Array:
    """Return x / width + 1/2, cut to [0, 1]; cut before the division, so that the ends are exactly 0 and 1."""
    return jnp.clip(x + width / 2, 0, width) / width
