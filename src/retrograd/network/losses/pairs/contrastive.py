"""Contrastive loss: pulls pairs that belong together towards each other, and pushes others apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.pairs.distances import distance, read_pair

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Embeddings, Examples, KeptOfContrastive


@losses.register(
    "contrastive",
    examples=examples(
        ({}, [(5, 3), (5, 3), Input((5,), "binary")]),
        ({"margin": 3.0, "reduction": "sum"}, [(1, 2), (1, 2), Input((1,), "mask"), (1,)]),
    ),
)
@dataclass(frozen=True)
class Contrastive(Loss):
    """Average half the squared distance of pairs that belong together, and half the squared shortfall of others.

        L = 1/n sum (t d² / 2 + (1 - t) max(0, margin - d)² / 2),  d = |a - b|

    Two outputs of one network, whose towers share their parameters. In a configuration:
    `losses: {left: {loss: contrastive, target: [right, same]}}`, where the column `same` is 1 for pairs that belong
    together and 0 for others.

    Shapes:  a, b [batch, features], t [batch] (or [batch, 1]), 0 or 1 -> scalar
    Tape:    the slope by d, the unit vector of a - b
    Raises:  ShapeError if a and b differ in shape, or t does not fit.
    See:     Hadsell, Chopra & LeCun 2006 (whose label 1 means that a pair does *not* belong together).
    """

    margin: Annotated[
        PositiveFloat,
        Words(
            "distance from which unlike pairs cost nothing",
            more="pushes unlike pairs further apart",
            less="a smaller distance is enough",
        ),
    ] = 1.0

    predictions = 2
    terms_for = "example"
    equations = Equations(
        forward="L = 1/n Σ (t d²/2 + (1 - t) max(0, margin - d)²/2), d = |a - b|",
        backward=("da = 1/n (t d - (1 - t) max(0, margin - d)) (a - b)/d", "db = -da"),
        latex_forward=r"L = \frac{1}{2n} \sum \left( t d^2 + (1 - t) \max(0, m - d)^2 \right), \quad d = \|a - b\|",
        latex_backward=(r"\delta_a = -\delta_b = \frac{1}{n} (t d - (1 - t) \max(0, m - d)) \frac{a - b}{d}",),
    )

    @override
    def terms(self, a: Embeddings, b: Embeddings, same: Examples) -> tuple[Examples, KeptOfContrastive]:
        d, unit = distance(a, b)
        missing = jnp.maximum(self.margin - d, 0)
        terms = 0.5 * (same * d * d + (1 - same) * missing * missing)
        return terms, ((same * d - (1 - same) * missing)[:, None], unit)

    def slopes(self, kept: KeptOfContrastive) -> tuple[Embeddings, Embeddings]:
        """The slope by d, along the difference, and against it."""
        slope, unit = kept
        return slope * unit, -slope * unit

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the two embeddings and the label [batch]."""
        return read_pair(inputs)
