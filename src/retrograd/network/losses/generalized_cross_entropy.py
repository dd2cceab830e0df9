"""Cross-entropy that is robust to wrong labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows


@losses.register(
    "generalized_cross_entropy",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        ({"q": 0.3, "reduction": "sum"}, [(1, 2, 3), Input((1, 2, 3), "probabilities"), (1,)]),
    ),
)
@dataclass(frozen=True)
class GeneralizedCrossEntropy(Loss):
    """Average how unlikely each row's class is, on a scale between cross-entropy and absolute error.

        L = 1/n sum_rows sum_c t_c (1 - p_c^q) / q,  p = softmax(y)

    Near q = 0 this is cross_entropy; with q = 1 it is the share of the wrong classes, which bounds the pull of wrong
    labels.

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or numbers [batch, ..., classes] -> scalar
    Tape:    p, t p^q
    See:     Zhang & Sabuncu 2018, arXiv:1805.07836, with its q of 0.7.
    """

    q: Annotated[
        Annotated[float, Field(gt=0, le=1), Expect("a number above 0, at most 1")],
        Words(
            "how strongly surprising labels are discounted",
            more="wrong labels pull less; learns more slowly",
            less="closer to cross-entropy",
            why="0.7, the paper's",
        ),
    ] = 0.7

    terms_for = "row"
    takes_labels = reads_scores = True
    equations = Equations(
        forward="L = 1/n Σ_rows Σ_c t_c (1 - p_c^q) / q, p = softmax(y)",
        backward=("dL/dy_c = 1/n (p_c Σ_k t_k p_k^q - t_c p_c^q)",),
        latex_forward=r"L = \frac{1}{n} \sum_{rows} \sum_c t_c \frac{1 - p_c^q}{q}",
        latex_backward=(
            r"\frac{\partial L}{\partial y_c} = \frac{1}{n} \left( p_c \textstyle\sum_k t_k p_k^q - t_c p_c^q \right)",
        ),
    )

    @override
    def terms(self, y: Classes, t: Classes) -> tuple[Rows, tuple[Classes, Classes]]:
        shifted = y - jnp.max(y, -1, keepdims=True)
        log_p = shifted - jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))
        return jnp.sum(t * -jnp.expm1(self.q * log_p) / self.q, -1), (jnp.exp(log_p), t * jnp.exp(self.q * log_p))

    def slopes(self, kept: tuple[Classes, Classes]) -> Classes:
        """p_c Σ_k t_k p_k^q - t_c p_c^q."""
        p, mass = kept
        return p * jnp.sum(mass, -1, keepdims=True) - mass
