"""Dice loss with a weight for each kind of mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat, PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import losses
from retrograd.network.losses.regional import Regional

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Examples, KeptOfDice, RegionLabels, Regions


@losses.register(
    "tversky",
    examples=examples(
        ({}, [(3, 2, 2, 1), Input((3, 2, 2, 1), "binary")]),
        (
            {"alpha": 0.7, "beta": 0.2, "gamma": 0.75, "ignored": 2, "reduction": "sum"},
            [(1, 3, 3), Input((1, 3), "labels", classes=3), (1,)],
        ),
    ),
)
@dataclass(frozen=True)
class Tversky(Regional):
    """Average over examples and classes the lack of overlap of the predicted region p and the true one, q.

        L = mean of (1 - T)^gamma,  T = (sum p q + s) / (sum p q + alpha sum p (1 - q) + beta sum (1 - p) q + s)

    `alpha` is the weight of false positives, `beta` that of false negatives; with 1/2 each this is dice (with a
    smoothing of 2 s). `gamma` other than 1: the focal Tversky loss. p, background, ignored and from_logits are as in
    dice.

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or numbers from 0 to 1 [batch, ..., classes] -> scalar;
             mask and weight [batch]
    Tape:    p, q, which positions count, the two sums
    Raises:  ShapeError if the target is neither, or there are no positions between batch and classes.
    See:     Salehi et al. 2017, arXiv:1706.05721 (alpha 0.3, beta 0.7); Abraham & Khan 2018, arXiv:1810.07842.
    """

    alpha: Annotated[
        NonNegativeFloat,
        Words(
            "weight of false positives",
            more="fewer false alarms",
            less="fewer positions are missed",
            why="0.5: as dice",
        ),
    ] = 0.5
    beta: Annotated[
        NonNegativeFloat,
        Words(
            "weight of false negatives",
            more="fewer positions are missed",
            less="fewer false alarms",
            why="0.5: as dice",
        ),
    ] = 0.5
    gamma: Annotated[
        PositiveFloat,
        Words("power of the loss of each class", more="hard classes count more", less="easy classes count more"),
    ] = 1.0
    smoothing: Annotated[
        PositiveFloat,
        Words(
            "added to both sums, so that an empty class is defined",
            more="softer for small areas",
            less="sharper for small areas",
        ),
    ] = 1.0

    equations = Equations(
        forward="L = 1/n Σ mean_c (1 - A/B)^γ, A = Σ p q + s, B = A + α Σ p (1 - q) + β Σ (1 - p) q",
        backward=(
            "dL/dp = 1/(n classes) γ (1 - A/B)^(γ-1) (A dB - B q) / B², dB = q + α (1 - q) - β q",
            "dL/dy_c = p_c (dp_c - Σ_k dp_k p_k); for a single class dp p (1 - p)",
        ),
        latex_forward=(
            r"L = \frac{1}{n} \sum \left( 1 - \frac{\sum p q + s}"
            r"{\sum p q + \alpha \sum p (1 - q) + \beta \sum (1 - p) q + s} \right)^\gamma"
        ),
        latex_backward=(r"\frac{\partial L}{\partial p} = \frac{A (q + \alpha (1 - q) - \beta q) - B q}{n B^2}",),
    )

    @override
    def written(self) -> Equations:
        equations = self.equations
        return equations if self.from_logits else equations._replace(backward=equations.backward[:1])

    @override
    def terms(self, y: Regions, t: Regions | RegionLabels) -> tuple[Examples, KeptOfDice]:
        p, q, places = self.regions(y, t)
        overlap = self.sums(p * q * places) + self.smoothing
        wrong = self.alpha * p * (1 - q) + self.beta * (1 - p) * q
        size = overlap + self.sums(wrong * places)
        return jnp.mean((1 - overlap / size) ** self.gamma, -1), (p, q, places, overlap, size)

    def slopes(self, kept: KeptOfDice) -> Regions:
        """dp = γ (1 - A/B)^(γ-1) (A dB - B q) / B² / classes, then back through softmax or sigmoid."""
        p, q, places, overlap, size = kept
        lack = jnp.maximum(1 - overlap / size, 0)
        bent = jnp.where(lack > 0, self.gamma * lack ** (self.gamma - 1), jnp.full_like(lack, self.gamma == 1))
        a, b, bent = (self.widened(sums, p) for sums in (overlap, size, bent))
        by_size = q + self.alpha * (1 - q) - self.beta * q
        return self.through(p, places * bent * (a * by_size - b * q) / (b * b) / overlap.shape[-1])
