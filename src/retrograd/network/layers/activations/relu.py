"""The rectified linear unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import NonNegativeFloat, PositiveFloat
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import SHAPES, Elementwise


@layers.register("relu", examples=(*SHAPES, *examples(({"threshold": 0.3, "maximum": 1.0}, [(5, 4)]))))
@dataclass(frozen=True)
class ReLU(Elementwise):
    """Keep positive values, or those above a threshold.

        y = max(x, 0)

    With a `threshold`, y = x where x > threshold, else 0; with a `maximum`, no output exceeds it.

    Shapes:  x [batch, ...] -> y, the same
    See:     Nair & Hinton 2010. The derivative at 0 is 0, as in PyTorch. Keras's max_value and threshold.
    """

    threshold: Annotated[
        NonNegativeFloat, Words("inputs up to this become 0", more="fewer active units", less="more active units")
    ] = 0.0
    maximum: Annotated[PositiveFloat | None, Words("the largest output", why="none: as large as the input")] = None

    initializer = "he_normal"
    steepest = 1.0
    equations = Equations(
        forward="y = max(x, 0)",
        backward=("dx = dy where y > 0, else 0",),
        latex_forward=r"y = \max(x, 0)",
        latex_backward=(r"\delta_x = \delta_y \cdot [y > 0]",),
    )

    @override
    def value(self, x: Array) -> Array:
        y = jnp.where(x <= self.threshold, jnp.zeros_like(x), x) if self.threshold else relu(x)
        return y if self.maximum is None else jnp.minimum(y, self.maximum)

    @override
    def delta(self, y: Array, dy: Array, /) -> Array:
        dx = relu_back(y, dy)
        return dx if self.maximum is None else jnp.where(y < self.maximum, dx, jnp.zeros_like(dx))

    @override
    def rules(self) -> Iterator[Problem]:
        if self.maximum is not None and self.maximum <= self.threshold:
            yield Problem("maximum", f"expected more than the threshold {self.threshold:g}, found {self.maximum:g}")

    @override
    def formulas(self) -> Equations:
        y = f"x where x > {self.threshold:g}, else 0" if self.threshold else "max(x, 0)"
        top = "" if self.maximum is None else f", at most {self.maximum:g}"
        within = "" if self.maximum is None else f" and y < {self.maximum:g}"
        equations = self.equations
        return equations._replace(forward=f"y = {y}{top}", backward=(f"dx = dy where y > 0{within}, else 0",))


def relu(x: Array) -> Array:
    """Return max(x, 0); NaN passes through."""
    return jnp.maximum(x, jnp.zeros_like(x))


def relu_back(y: Array, dy: Array) -> Array:
    """Return dy where y > 0, else 0."""
    return jnp.where(y > 0, dy, jnp.zeros_like(dy))
