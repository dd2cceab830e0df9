"""The mean of absolute differences, as a share of the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "mean_absolute_percentage_error",
    examples=examples(
        ({}, [(5, 3), (5, 3)]), ({"reduction": "sum", "scale": 0.01, "eps": 0.5}, [(1, 2), (1, 2), (1,)])
    ),
)
@dataclass(frozen=True)
class MeanAbsolutePercentageError(Loss):
    """Average the distance from the target, as a percentage of the target.

        L = 1/n sum 100 |y - t| / max(|t|, eps)

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    the sign of y - t, the divisor
    See:     Keras's mean_absolute_percentage_error, with its 100 and its eps. Targets near 0 outweigh all others.
    """

    eps: Annotated[PositiveFloat, Words("the smallest target to divide by", why="Keras's")] = 1e-7

    equations = Equations(
        forward="L = 1/n Σ 100 |y - t| / max(|t|, eps)",
        backward=("dL/dy = 1/n 100 sign(y - t) / max(|t|, eps)",),
        latex_forward=r"L = \frac{1}{n} \sum 100 \frac{|y - t|}{\max(|t|, \epsilon)}",
        latex_backward=(
            r"\frac{\partial L}{\partial y} = \frac{1}{n} \frac{100 \operatorname{sign}(y - t)}{\max(|t|, \epsilon)}",
        ),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        size = jnp.maximum(jnp.abs(t), self.eps)
        return 100 * jnp.abs(y - t) / size, 100 * jnp.sign(y - t) / size

    def slopes(self, kept: Elements) -> Elements:
        """100 sign(y - t) / max(|t|, eps)."""
        return kept
