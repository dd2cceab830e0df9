"""The self-normalising exponential linear unit."""

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

# The only pair for which mean 0 and variance 1 of independent inputs is a stable fixed point (equation 14).
ALPHA = 1.6732632423543772
SCALE = 1.0507009873554805


@layers.register("selu", examples=(*SHAPES, *examples(({"alpha": 1, "scale": 2}, [(2, 3)]))))
@dataclass(frozen=True)
class SELU(Elementwise):
    """Bend like elu, scaled so that signals keep mean 0 and variance 1 through many layers.

        y = scale * (x where x > 0, else alpha (exp(x) - 1)),  scale = 1.0507, alpha = 1.6733

    Shapes:  x [batch, ...] -> y, the same
    See:     Klambauer et al. 2017, arXiv:1706.02515. It needs weights with variance 1 / fan_in: lecun_normal.
             ONNX calls scale gamma.
    """

    alpha: Annotated[
        PositiveFloat,
        Words("very negative inputs approach -scale · alpha", why="the paper's"),
    ] = ALPHA
    scale: Annotated[PositiveFloat, Words("slope for positive inputs", why="the paper's")] = SCALE

    initializer = "lecun_normal"
    equations = Equations(
        forward="y = scale · (x where x > 0, else alpha (exp(x) - 1))",
        backward=("dx = dy · (scale where y > 0, else y + scale · alpha)",),
        latex_forward=r"y = \lambda (\max(x, 0) + \alpha (e^{\min(x, 0)} - 1))",
        latex_backward=(r"\delta_x = \delta_y \cdot (\lambda [y > 0] + (y + \lambda \alpha) [y \le 0])",),
    )

    @override
    def value(self, x: Array) -> Array:
        return jnp.where(x > 0, self.scale * x, self.scale * self.alpha * jnp.expm1(jnp.minimum(x, 0)))

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        return dy * jnp.where(y > 0, self.scale, y + self.scale * self.alpha)
