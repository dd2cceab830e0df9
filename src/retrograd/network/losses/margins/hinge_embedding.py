"""A hinge on distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "hinge_embedding",
    examples=examples(
        ({}, [(5, 1), Input((5, 1), "signs")]), ({"margin": 2.0, "reduction": "sum"}, [(1, 3), Input((1, 3), "binary")])
    ),
)
@dataclass(frozen=True)
class HingeEmbedding(Loss):
    """Average the distance y of pairs that belong together, and its shortfall from a margin for others.

        L = 1/n sum (y where t > 0, else max(0, margin - y))

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    the slope
    See:     PyTorch's hinge_embedding_loss. Targets are coded -1, 1 or 0, 1. contrastive takes the embeddings
             themselves.
    """

    margin: Annotated[
        PositiveFloat,
        Words(
            "distance from which unlike pairs cost nothing",
            more="pushes unlike pairs further apart",
            less="a smaller distance is enough",
        ),
    ] = 1.0

    equations = Equations(
        forward="L = 1/n Σ (y where t > 0, else max(0, margin - y))",
        backward=("dL/dy = 1/n where t > 0, -1/n where t ≤ 0 and y < margin, else 0",),
        latex_forward=r"L = \frac{1}{n} \sum \left( [t > 0] y + [t \le 0] \max(0, m - y) \right)",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \left( [t > 0] - [t \le 0][y < m] \right)",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        missing = self.margin - y
        apart = jnp.maximum(missing, 0) + 0 * t  # a NaN target stays NaN
        slope = jnp.where(missing > 0, -jnp.ones_like(y), jnp.zeros_like(y))
        return jnp.where(t > 0, y, apart), jnp.where(t > 0, jnp.ones_like(y), slope)

    def slopes(self, kept: Elements) -> Elements:
        """1 for pairs that belong together, -1 for others within the margin, else 0."""
        return kept
