"""A margin between every present label and every absent one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows


@losses.register(
    "multi_label_margin",
    examples=examples(
        ({}, [(5, 4), Input((5, 4), "binary")]), ({"reduction": "sum"}, [(1, 3), Input((1, 3), "binary"), (1,)])
    ),
)
@dataclass(frozen=True)
class MultiLabelMargin(Loss):
    """Average how far each present label falls short of a margin of 1 over each absent one.

        L = 1/n sum_rows 1/C sum over j there, k not there of max(0, 1 - y_j + y_k)

    Shapes:  y [batch, ..., classes], t the same, 1 where a label is present, else 0 -> scalar
    Tape:    which pairs miss the margin
    See:     PyTorch's multilabel_margin_loss, which lists the present labels, padded with -1.
    """

    terms_for = "row"
    reads_scores = True
    equations = Equations(
        forward="L = 1/n Σ_rows 1/C Σ over j there, k not there of max(0, 1 - y_j + y_k)",
        backward=("dL/dy = 1/n 1/C (how many pairs miss the margin), negative for labels that are there",),
        latex_forward=r"L = \frac{1}{n} \sum_{rows} \frac{1}{C} \sum_{j, k} t_j (1 - t_k) \max(0, 1 - y_j + y_k)",
        latex_backward=(
            r"\frac{\partial L}{\partial y_k} = \frac{1}{n} \frac{1}{C} \sum_j (t_j (1 - t_k) - t_k (1 - t_j)) [\dots]",
        ),
    )

    @override
    def terms(self, y: Classes, t: Classes) -> tuple[Rows, Classes]:
        missing = 1 - y[..., :, None] + y[..., None, :]
        pairs = t[..., :, None] * (1 - t[..., None, :]) / y.shape[-1]
        misses = jnp.where(missing > 0, pairs, jnp.zeros_like(pairs))
        return jnp.sum(pairs * jnp.maximum(missing, 0), (-2, -1)), jnp.sum(misses, -2) - jnp.sum(misses, -1)

    def slopes(self, kept: Classes) -> Classes:
        """The number of pairs that miss the margin, negative for present labels, divided by the number of classes."""
        return kept
