"""Triplet loss: pulls a positive closer to its anchor than a negative."""

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
from retrograd.network.losses.pairs.distances import distance, read_embeddings

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Embeddings, Examples


@losses.register(
    "triplet",
    examples=examples(
        ({}, [(5, 3), (5, 3), (5, 3)]),
        ({"margin": 0.5, "reduction": "sum"}, [(1, 2), (1, 2), (1, 2), (1,)]),
        ({"margin": 3.0, "swap": True}, [(4, 2), (4, 2), (4, 2), Input((4,), "mask")]),
    ),
)
@dataclass(frozen=True)
class Triplet(Loss):
    """Average the shortfall of the distance to the negative from that to the positive plus a margin.

        L = 1/n sum max(0, |a - p| - |a - q| + margin)

    Three outputs of one network, whose towers share their parameters: anchor a, positive p, negative q. In a
    configuration: `losses: {anchor: {loss: triplet, target: [positive, negative]}}`.

    Shapes:  a, p, q [batch, features] -> scalar
    Tape:    unit vectors of a - p, a - q and p - q (w, if that is closer), where the margin is missed
    Raises:  ShapeError if the three differ in shape.
    See:     Schroff et al. 2015, arXiv:1503.03832 (squared distances there). As PyTorch's triplet_margin_loss, with
             its 1e-6 in each difference. `swap`: Balntas et al. 2016.
    """

    margin: Annotated[
        PositiveFloat,
        Words(
            "required extra distance of the negative",
            more="pushes further apart",
            less="a smaller distance is enough",
        ),
    ] = 1.0

    swap: Annotated[
        bool,
        Words(
            "whether the negative is compared with the closer of anchor and positive",
            why="false: with the anchor; true finds harder negatives",
        ),
    ] = False

    predictions = 3
    targets = 0
    terms_for = "example"
    equations = Equations(
        forward="L = 1/n Σ max(0, |a - p| - |a - q| + margin)",
        backward=(
            "u = (a - p) / |a - p|, v = (a - q) / |a - q|, where the margin is missed, else 0",
            "da = (u - v) / n, dp = -u / n, dq = v / n",
        ),
        latex_forward=r"L = \frac{1}{n} \sum \max(0, \|a - p\| - \|a - q\| + m)",
        latex_backward=(r"\delta_a = \frac{1}{n} \left( \frac{a - p}{\|a - p\|} - \frac{a - q}{\|a - q\|} \right)",),
    )

    @override
    def written(self) -> Equations:
        if not self.swap:
            return self.equations
        return self.equations._replace(
            forward="L = 1/n Σ max(0, |a - p| - min(|a - q|, |p - q|) + margin)",
            backward=(
                "u = (a - p) / |a - p|, where the margin is missed, else 0; v = (a - q) / |a - q| or, of a nearer p, 0",
                "w = (p - q) / |p - q| where p is nearer, else 0",
                "da = (u - v) / n, dp = -(u + w) / n, dq = (v + w) / n",
            ),
            latex_forward=r"L = \frac{1}{n} \sum \max(0, \|a - p\| - \min(\|a - q\|, \|p - q\|) + m)",
        )

    @override
    def terms(
        self,
        anchor: Embeddings,
        positive: Embeddings,
        negative: Embeddings,
    ) -> tuple[Examples, tuple[Embeddings, ...]]:
        near, u = distance(anchor, positive)
        far, v = distance(anchor, negative)
        w = jnp.zeros_like(v)
        if self.swap:
            other, unit = distance(positive, negative)
            nearer = (other < far)[:, None]
            far, v, w = jnp.minimum(far, other), jnp.where(nearer, w, v), jnp.where(nearer, unit, w)
        missing = near - far + self.margin
        silent = (missing <= 0)[:, None]
        return jnp.maximum(missing, 0), tuple(jnp.where(silent, jnp.zeros_like(vector), vector) for vector in (u, v, w))

    def slopes(self, kept: tuple[Embeddings, ...]) -> tuple[Embeddings, Embeddings, Embeddings]:
        """U - v for the anchor, -u - w for the positive, v + w for the negative."""
        u, v, w = kept
        return u - v, -u - w, v + w

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the three embeddings."""
        return read_embeddings(inputs)
