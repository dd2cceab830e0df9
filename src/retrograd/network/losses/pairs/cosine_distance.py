"""The cosine distance of prediction and target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.pairs.distances import cosine

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows


@losses.register(
    "cosine_distance",
    examples=examples(({}, [(5, 3), (5, 3)]), ({"reduction": "sum"}, [(1, 2, 4), (1, 2, 4), Input((1, 2), "mask")])),
)
@dataclass(frozen=True)
class CosineDistance(Loss):
    """Average how far each vector points away from its target: 0 for the same direction, 2 for the opposite one.

        L = 1/n sum_rows (1 - y t / (|y| |t|))

    Shapes:  y [batch, ..., features], t the same -> scalar
    Tape:    the slope
    See:     Keras's CosineSimilarity loss is this one minus 1.
    """

    terms_for = "row"
    equations = Equations(
        forward="L = 1/n Σ_rows (1 - y t / (|y| |t|))",
        backward=("dL/dy = 1/n (cos y/|y| - t/|t|) / |y|",),
        latex_forward=r"L = \frac{1}{n} \sum_{rows} \left( 1 - \frac{y \cdot t}{\|y\| \|t\|} \right)",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} (\hat y \cos - \hat t) / \|y\|",),
    )

    @override
    def terms(self, y: Classes, t: Classes) -> tuple[Rows, Classes]:
        cos, by_y, _ = cosine(y, t)
        return 1 - cos, -by_y

    def slopes(self, kept: Classes) -> Classes:
        """(cos y/|y| - t/|t|) / |y|."""
        return kept
