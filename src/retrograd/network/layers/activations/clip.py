"""Values between two bounds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import Number
from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.activations.elementwise import Elementwise


@layers.register(
    "clip", examples=examples(({}, [(5, 4)]), ({"low": -0.5, "high": 0.25}, [(1, 3, 1)]), ({"high": None}, [(2, 2)]))
)
@dataclass(frozen=True)
class Clip(Elementwise):
    """Clip values at two bounds: a piecewise linear tanh.

        y = min(max(x, low), high)

    Shapes:  x [batch, ...] -> y, the same
    See:     PyTorch's Hardtanh and clamp. The derivative at a bound is 0.
    """

    low: Annotated[Number | None, Words("the smallest output; null for none", why="-1, as tanh")] = -1.0
    high: Annotated[Number | None, Words("the largest output; null for none", why="1, as tanh")] = 1.0

    tape = "x"
    equations = Equations(
        forward="y = min(max(x, low), high)",
        backward=("dx = dy where low < x < high, else 0",),
        latex_forward=r"y = \min(\max(x, a), b)",
        latex_backward=(r"\delta_x = \delta_y \cdot [a < x < b]",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.low is not None and self.high is not None and self.low >= self.high:
            yield Problem("high", f"expected more than low, {self.low:g}, found {self.high:g}")

    @override
    def value(self, x: Array) -> Array:
        return jnp.clip(x, self.low, self.high)

    @override
    def delta(self, x: Array, dy: Array, /) -> Array:
        low, high = -jnp.inf if self.low is None else self.low, jnp.inf if self.high is None else self.high
        inside = (x > low) & (x < high)
        return jnp.where(inside, dy, jnp.zeros_like(dy))
