"""Dice loss: the lack of overlap of two regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import losses
from retrograd.network.losses.regional import Regional

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Examples, KeptOfDice, RegionLabels, Regions


@losses.register(
    "dice",
    examples=examples(
        ({}, [(3, 4, 5, 1), Input((3, 4, 5, 1), "binary")]),
        ({"smoothing": 0.5, "reduction": "sum"}, [(1, 3, 3, 2), Input((1, 3, 3), "labels", classes=2), (1,)]),
        ({"ignored": 2, "squared": True}, [(2, 3, 4, 3), Input((2, 3, 4), "labels", classes=3), Input((2,), "mask")]),
        (
            {"background": False, "from_logits": False},
            [Input((2, 5, 3), "probabilities"), Input((2, 5, 3), "probabilities")],
        ),
    ),
)
@dataclass(frozen=True)
class Dice(Regional):
    """Average over examples and classes the lack of overlap of the predicted region p and the true one, q.

        L = 1 - mean of (2 sum p q + s) / (sum p + sum q + s),  sums over the positions of one example

    p is the softmax over classes, or the sigmoid of a single class; with `from_logits: false` y is p. `smoothing`: s,
    which makes a class that is neither present nor predicted count as right. squared: sums of p² and q² in the
    denominator. background: whether class 0 counts. ignored: a label whose positions are left out.

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or numbers from 0 to 1 [batch, ..., classes] -> scalar;
             mask and weight [batch]
    Tape:    p, q, which positions count, the two sums
    Raises:  ShapeError if the target is neither, or there are no positions between batch and classes.
    See:     Milletari et al. 2016, arXiv:1606.04797 (squared). Overlap is measured in each image, not in the batch.
    """

    smoothing: Annotated[
        NonNegativeFloat,
        Words(
            "added to both sums, so that an empty class is defined",
            more="softer for small areas",
            less="sharper for small areas",
        ),
    ] = 1.0
    squared: Annotated[bool, Words("whether the denominator sums squares", why="false: plain sums")] = False

    equations = Equations(
        forward="L = 1/n Σ mean_c (1 - A/B), A = 2 Σ p q + s, B = Σ p + Σ q + s, p = softmax(y) or σ(y)",
        backward=(
            "dL/dp = 1/(n classes) (A - 2 q B) / B²",
            "dL/dy_c = p_c (dp_c - Σ_k dp_k p_k); for a single class dp p (1 - p)",
        ),
        latex_forward=r"L = \frac{1}{n} \sum \left( 1 - \frac{2 \sum p q + s}{\sum p + \sum q + s} \right)",
        latex_backward=(r"\frac{\partial L}{\partial p} = \frac{A - 2 q B}{n B^2}",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.squared and not self.smoothing:
            yield Problem("smoothing", "0 would divide by 0 where all p are 0", "use a small positive number")

    @override
    def written(self) -> Equations:
        equations, p = self.equations, "p = softmax(y) or σ(y)" if self.from_logits else "p = y"
        backward = equations.backward if self.from_logits else equations.backward[:1]
        forward = equations.forward.replace("p = softmax(y) or σ(y)", p)
        if not self.squared:
            return equations._replace(forward=forward, backward=backward)
        return Equations(
            forward=forward.replace("B = Σ p + Σ q", "B = Σ p² + Σ q²"),
            backward=(backward[0].replace("(A - 2 q B)", "(2 p A - 2 q B)"), *backward[1:]),
            latex_forward=equations.latex_forward.replace(r"\sum p + \sum q", r"\sum p^2 + \sum q^2"),
            latex_backward=(equations.latex_backward[0].replace("A - 2 q B", "2 p A - 2 q B"),),
        )

    @override
    def terms(
        self,
        y: Regions,
        t: Regions | RegionLabels,
    ) -> tuple[Examples, KeptOfDice]:
        p, q, places = self.regions(y, t)
        overlap = 2 * self.sums(p * q * places) + self.smoothing
        size = self.sums((p * p + q * q if self.squared else p + q) * places) + self.smoothing
        ratio = jnp.where(size == 0, jnp.ones_like(size), overlap / jnp.where(size == 0, jnp.ones_like(size), size))
        return jnp.mean(1 - ratio, -1), (p, q, places, overlap, size)

    def slopes(self, kept: KeptOfDice) -> Regions:
        """dp = (A - 2 q B) / B² / classes, then back through softmax or sigmoid."""
        p, q, places, overlap, size = kept
        a, b = (self.widened(sums, p) for sums in (overlap, size))
        b = jnp.where(b == 0, jnp.ones_like(b), b)
        dp = places * ((2 * p if self.squared else 1.0) * a - 2 * q * b) / (b * b) / overlap.shape[-1]
        return self.through(p, dp)
