"""The mean of absolute differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "mean_absolute_error",
    examples=examples(
        ({}, [(5, 3), (5, 3)]),
        ({"reduction": "sum", "scale": 2.0}, [(1, 2), (1, 2), (1,)]),
    ),
)
@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Average the distance between prediction and target over all elements: outliers pull no harder than other values.

        L = 1/n sum |y - t|

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    y - t
    See:     the derivative at y = t is 0, as in PyTorch.
    """

    equations = Equations(
        forward="L = 1/n Σ |y - t|",
        backward=("dL/dy = 1/n sign(y - t), 0 where y = t",),
        latex_forward=r"L = \frac{1}{n} \sum |y - t|",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \operatorname{sign}(y - t)",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        difference = y - t
        return jnp.abs(difference), difference

    def slopes(self, kept: Elements) -> Elements:
        """sign(y - t), 0 where they are equal."""
        return jnp.sign(kept)
