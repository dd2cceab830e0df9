"""The mean of squared differences of logarithms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "mean_squared_logarithmic_error",
    examples=examples(
        ({}, [(5, 3), Input((5, 3), "positive")]),
        ({"reduction": "sum"}, [Input((1, 2), "positive"), Input((1, 2), "positive"), (1,)]),
    ),
)
@dataclass(frozen=True)
class MeanSquaredLogarithmicError(Loss):
    """Average the squared difference of logarithms: relative errors count, not absolute ones.

        L = 1/n sum (log(1 + y) - log(1 + t))^2

    Values below 0 count as 0, with delta 0.

    Shapes:  y [batch, ...], t the same, not negative -> scalar
    Tape:    the difference of the logarithms, 1 / (1 + y)
    See:     Keras's mean_squared_logarithmic_error, whose smallest value is 1e-7.
    """

    equations = Equations(
        forward="L = 1/n Σ (log(1 + y) - log(1 + t))²",
        backward=("dL/dy = 2/n (log(1 + y) - log(1 + t)) / (1 + y), 0 where y < 0",),
        latex_forward=r"L = \frac{1}{n} \sum \left( \log(1 + y) - \log(1 + t) \right)^2",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{2}{n} \frac{\log(1 + y) - \log(1 + t)}{1 + y}",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, Elements]]:
        least = jnp.asarray(1e-7, y.dtype)
        y_there, t_there = jnp.maximum(y, least), jnp.maximum(t, least)
        difference = jnp.log1p(y_there) - jnp.log1p(t_there)
        inverse = jnp.where(y < least, jnp.zeros_like(y), 1 / (1 + y_there))
        return difference * difference, (difference, inverse)

    def slopes(self, kept: tuple[Elements, Elements]) -> Elements:
        """2 (log(1 + y) - log(1 + t)) / (1 + y), 0 where y is below 0."""
        difference, inverse = kept
        return 2 * difference * inverse
