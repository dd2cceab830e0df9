"""The exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import Elementwise


@layers.register("elu", examples=examples(({}, [(5, 4)]), ({"alpha": 0.5}, [(1, 3, 1)])))
@dataclass(frozen=True)
class ELU(Elementwise):
    """Keep positive values; bend negative ones smoothly towards -alpha.

        y = x where x > 0, else alpha (exp(x) - 1)

    Shapes:  x [batch, ...] -> y, the same
    See:     Clevert et al. 2015, arXiv:1511.07289. The derivative at 0 is alpha, as in PyTorch.
    """

    alpha: Annotated[
        PositiveFloat,
        Words(
            "very negative inputs approach -alpha",
            more="more negative outputs",
            less="closer to relu",
            why="1: the slope is continuous at 0",
        ),
    ] = 1.0

    initializer = "he_normal"
    equations = Equations(
        forward="y = x where x > 0, else alpha (exp(x) - 1)",
        backward=("dx = dy where y > 0, else dy (y + alpha)",),
        latex_forward=r"y = \max(x, 0) + \alpha (e^{\min(x, 0)} - 1)",
        latex_backward=(r"\delta_x = \delta_y \cdot ([y > 0] + (y + \alpha) [y \le 0])",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.where(x > 0, x, self.alpha * jnp.expm1(jnp.minimum(x, 0)))

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return jnp.where(y > 0, dy, dy * (y + self.alpha))  # alpha exp(x) without a second exponential
