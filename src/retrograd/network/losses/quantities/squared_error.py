"""The mean of squared differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "mean_squared_error",
    examples=examples(
        ({}, [(5, 3), (5, 3)]),
        ({"scale": 0.5}, [(1, 1), (1, 1)]),
        ({"reduction": "sum"}, [(4, 2), (4, 2), (4,)]),
        ({"reduction": "none"}, [(3, 2), (3, 2), (3,)]),
    ),
)
@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Average the squared difference between prediction and target over all elements.

        L = 1/n sum (y - t)^2

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    y - t
    See:     many texts sum half the squares over the batch, which needs a different learning rate.
    """

    equations = Equations(
        forward="L = 1/n Σ (y - t)²",
        backward=("dL/dy = 2/n (y - t)",),
        latex_forward=r"L = \frac{1}{n} \sum (y - t)^2",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{2}{n} (y - t)",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        difference = y - t
        return difference * difference, difference

    def slopes(self, kept: Elements) -> Elements:
        """2 (y - t)."""
        return 2 * kept
