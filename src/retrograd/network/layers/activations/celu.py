"""The continuously differentiable exponential linear unit."""

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


@layers.register("celu", examples=examples(({}, [(5, 4)]), ({"alpha": 0.5}, [(1, 3, 1)])))
@dataclass(frozen=True)
class CELU(Elementwise):
    """Keep positive values; bend negative ones towards -alpha, with slope 1 at 0 for any alpha.

        y = x where x > 0, else alpha (exp(x / alpha) - 1)

    Shapes:  x [batch, ...] -> y, the same
    See:     Barron 2017, arXiv:1704.07483. With alpha 1 it is elu.
    """

    alpha: Annotated[
        PositiveFloat,
        Words("very negative inputs approach -alpha", more="more negative outputs", less="closer to relu"),
    ] = 1.0

    initializer = "he_normal"
    equations = Equations(
        forward="y = x where x > 0, else alpha (exp(x / alpha) - 1)",
        backward=("dx = dy where y > 0, else dy (y / alpha + 1)",),
        latex_forward=r"y = \max(x, 0) + \alpha (e^{\min(x, 0) / \alpha} - 1)",
        latex_backward=(r"\delta_x = \delta_y \cdot ([y > 0] + (y / \alpha + 1) [y \le 0])",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.where(x > 0, x, self.alpha * jnp.expm1(jnp.minimum(x, 0) / self.alpha))

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return jnp.where(y > 0, dy, dy * (y / self.alpha + 1))
