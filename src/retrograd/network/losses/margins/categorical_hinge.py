"""A margin between the right class and the best of the others."""

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
    "categorical_hinge",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        ({"reduction": "sum"}, [(1, 3), Input((1, 3), "binary"), (1,)]),
    ),
)
@dataclass(frozen=True)
class CategoricalHinge(Loss):
    """Average how far the right class falls short of a margin of 1 over the best other class (or over 0).

        L = 1/n sum_rows max(0, 1 + max((1 - t) y) - sum(t y))

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or one number per class, 1 at the right one -> scalar
    Tape:    the slope
    See:     Crammer & Singer 2001; Keras's categorical_hinge, in which a best other class below 0 counts as 0.
    """

    terms_for = "row"
    takes_labels = reads_scores = True
    equations = Equations(
        forward="L = 1/n Σ_rows max(0, 1 + max((1 - t) y) - Σ t y)",
        backward=("dL/dy_c = 1/n ((1 - t_c) [c is the best other class] - t_c) where the margin is missed, else 0",),
        latex_forward=r"L = \frac{1}{n} \sum_{rows} \max(0, 1 + \max_c (1 - t_c) y_c - t \cdot y)",
        latex_backward=(r"\frac{\partial L}{\partial y_c} = \frac{1}{n} \left( (1 - t_c) [c = c^*] - t_c \right)",),
    )

    @override
    def terms(self, y: Classes, t: Classes) -> tuple[Rows, Classes]:
        others = (1 - t) * y
        best = jnp.max(others, -1, keepdims=True)
        first = jnp.argmax(others, -1, keepdims=True) == jnp.arange(y.shape[-1]).reshape((1,) * (y.ndim - 1) + (-1,))
        missing = 1 + best - jnp.sum(t * y, -1, keepdims=True)
        slope = jnp.where(missing > 0, (1 - t) * first.astype(t.dtype) - t, jnp.zeros_like(t))
        return jnp.maximum(missing, 0)[..., 0], slope

    def slopes(self, kept: Classes) -> Classes:
        """-1 at the right class, 1 at the best other one, where the margin is missed."""
        return kept
