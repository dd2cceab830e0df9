"""Aligning the directions of pairs that belong together, and separating others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses
from retrograd.network.losses.pairs.distances import cosine, read_pair

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Embeddings, Examples


@losses.register(
    "cosine_embedding",
    examples=examples(
        ({}, [(5, 3), (5, 3), Input((5,), "signs")]),
        ({"margin": 0.2, "reduction": "sum"}, [(1, 2), (1, 2), Input((1,), "binary"), (1,)]),
    ),
)
@dataclass(frozen=True)
class CosineEmbedding(Loss):
    """Average 1 minus the cosine of pairs that belong together, and the excess of others over a margin.

        L = 1/n sum (1 - cos where t > 0, else max(0, cos - margin)),  cos = a b / (|a| |b|)

    Two outputs of one network, whose towers share their parameters. In a configuration:
    `losses: {left: {loss: cosine_embedding, target: [right, same]}}`, where the column `same` is 1 for pairs that
    belong together and -1 or 0 for others.

    Shapes:  a, b [batch, features], t [batch] (or [batch, 1]) -> scalar
    Tape:    the slopes by a and b
    Raises:  ShapeError if a and b differ in shape, or t does not fit.
    See:     PyTorch's cosine_embedding_loss. contrastive compares distances, info_nce all pairs of a batch.
    """

    margin: Annotated[
        Annotated[float, Field(ge=-1, le=1), Expect("a number from -1 to 1")],
        Words(
            "cosine up to which unlike pairs cost nothing",
            more="unlike pairs may point in similar directions",
            less="pushes unlike pairs further apart",
            why="0, a right angle, as PyTorch",
        ),
    ] = 0.0

    predictions = 2
    terms_for = "example"
    equations = Equations(
        forward="L = 1/n Σ (1 - cos where t > 0, else max(0, cos - margin)), cos = a b / (|a| |b|)",
        backward=(
            "g = -1/n where t > 0, 1/n where cos > margin, else 0",
            "da = g (b/|b| - cos a/|a|) / |a|, db = g (a/|a| - cos b/|b|) / |b|",
        ),
        latex_forward=r"L = \frac{1}{n} \sum \left( [t > 0] (1 - \cos) + [t \le 0] \max(0, \cos - m) \right)",
        latex_backward=(r"\delta_a = \frac{1}{n} ([t \le 0][\cos > m] - [t > 0]) (\hat b - \cos \hat a) / \|a\|",),
    )

    @override
    def terms(self, a: Embeddings, b: Embeddings, t: Examples) -> tuple[Examples, tuple[Embeddings, Embeddings]]:
        cos, by_a, by_b = cosine(a, b)
        beyond = cos - self.margin
        slope = jnp.where(t > 0, -jnp.ones_like(cos), jnp.where(beyond > 0, jnp.ones_like(cos), jnp.zeros_like(cos)))
        terms = jnp.where(t > 0, 1 - cos, jnp.maximum(beyond, 0)) + 0 * t  # a NaN target stays NaN
        return terms, (slope[:, None] * by_a, slope[:, None] * by_b)

    def slopes(self, kept: tuple[Embeddings, Embeddings]) -> tuple[Embeddings, Embeddings]:
        """The slope by the cosine, along what turns a and b."""
        return kept

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return the two embeddings and the label [batch]."""
        return read_pair(inputs)
