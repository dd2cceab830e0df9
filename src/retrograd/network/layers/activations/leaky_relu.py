"""The rectified linear unit with a leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import Elementwise


@layers.register(
    "leaky_relu", examples=examples(({}, [(5, 4)]), ({"slope": 0.2}, [(1, 3, 1)]), ({"slope": 0}, [(3, 2)]))
)
@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """Keep positive values and a small share of negative ones, so that no unit dies for good.

        y = x where x > 0, else slope * x

    Shapes:  x [batch, ...] -> y, the same
    See:     Maas et al. 2013. Slope 0.01 as in PyTorch (Keras 0.3); the derivative at 0 is the slope.
    """

    slope: Annotated[
        NonNegativeFloat,
        Words(
            "slope for negative inputs", more="passes more of negative inputs", less="closer to relu", why="PyTorch's"
        ),
    ] = 0.01

    initializer = "he_normal"
    tape = "x"
    equations = Equations(
        forward="y = x where x > 0, else slope · x",
        backward=("dx = dy where x > 0, else slope · dy",),
        latex_forward=r"y = \max(x, 0) + \alpha \min(x, 0)",
        latex_backward=(r"\delta_x = \delta_y \cdot ([x > 0] + \alpha [x \le 0])",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.where(x > 0, x, self.slope * x)

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        return jnp.where(x > 0, dy, self.slope * dy)
