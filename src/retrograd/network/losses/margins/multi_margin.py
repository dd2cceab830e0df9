"""A margin between the right class and each of the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat, PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.cross_entropy import weights_of
from retrograd.network.losses.labels import beside
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows


@losses.register(
    "multi_margin",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        (
            {"p": 2, "margin": 0.5, "class_weights": [0.5, 1.0, 2.0], "reduction": "sum"},
            [(1, 2, 3), Input((1, 2), "labels", classes=3), (1,)],
        ),
    ),
)
@dataclass(frozen=True)
class MultiMargin(Loss):
    """Average how far the right class falls short of a margin over each of the others.

        L = 1/n sum_rows w_t 1/C sum over c ≠ t of max(0, margin - y_t + y_c)^p

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or one number per class, 1 at the right one -> scalar
    Tape:    the slope by each class's shortfall, the target
    Raises:  ShapeError if the numbers of class weights and classes differ.
    See:     PyTorch's multi_margin_loss. categorical_hinge compares only with the best of the other classes.
    """

    p: Annotated[Literal[1, 2], Words("power of the shortfall: linear or squared", why="1: as PyTorch")] = 1
    margin: Annotated[
        PositiveFloat, Words("required lead of the right class", more="pushes further apart", less="less is enough")
    ] = 1.0
    class_weights: Annotated[tuple[NonNegativeFloat, ...], Words("weight of each class", why="equal weights")] = ()

    terms_for = "row"
    takes_labels = reads_scores = True
    equations = Equations(
        forward="L = 1/n Σ_rows w_t 1/C Σ over c ≠ t of max(0, margin - y_t + y_c)^p",
        backward=("g_c = 1/n w_t p/C max(0, margin - y_t + y_c)^(p-1), 0 at t", "dL/dy_c = g_c, at t -Σ g_c"),
        latex_forward=r"L = \frac{1}{n} \sum_{rows} \frac{w_t}{C} \sum_{c \ne t} \max(0, m - y_t + y_c)^p",
        latex_backward=(r"\frac{\partial L}{\partial y_c} = \frac{1}{n} \frac{w_t p}{C} \max(0, m - y_t + y_c)^{p-1}",),
    )

    @override
    def terms(self, y: Classes, t: Classes) -> tuple[Rows, tuple[Classes, Classes]]:
        rate = jnp.sum(beside(weights_of(self.class_weights, y), y) * t, -1, keepdims=True) / y.shape[-1]
        missing = (1 - t) * jnp.maximum(self.margin - jnp.sum(t * y, -1, keepdims=True) + y, 0)
        slope = 2 * missing if self.p == 2 else (missing > 0).astype(y.dtype)
        return jnp.sum(rate * missing**self.p, -1), (rate * slope, t)

    def slopes(self, kept: tuple[Classes, Classes]) -> Classes:
        """The slope by each wrong class's shortfall; at the right class, the negative sum."""
        slope, t = kept
        return slope - t * jnp.sum(slope, -1, keepdims=True)
