"""Ranking one of two scores higher by a margin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, computing_dtype, losses
from retrograd.network.losses.margins.hinge import sign_of

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "margin_ranking",
    examples=examples(
        ({}, [(5, 1), (5, 1), Input((5, 1), "signs")]),
        ({"margin": 0.5, "reduction": "sum"}, [(1, 3), (1, 3), Input((1, 3), "binary"), (1,)]),
    ),
)
@dataclass(frozen=True)
class MarginRanking(Loss):
    """Average how far the score that should be higher falls short of the other plus a margin.

        L = 1/n sum max(0, margin - s (a - b)),  s = 1 where t > 0, else -1

    Two outputs of one network, whose towers share their parameters. In a configuration:
    `losses: {left: {loss: margin_ranking, target: [right, better]}}`, where the column `better` is 1 if the left one
    should rank higher, else -1 or 0.

    Shapes:  a, b [batch, ...], t the same -> scalar
    Tape:    s where the margin is missed, else 0
    Raises:  ShapeError if the shapes differ.
    See:     PyTorch's margin_ranking_loss, whose default margin is 0.
    """

    margin: Annotated[
        NonNegativeFloat,
        Words(
            "required lead of the better score",
            more="pushes scores further apart",
            less="the right order is enough",
            why="0, as PyTorch",
        ),
    ] = 0.0

    predictions = 2
    equations = Equations(
        forward="L = 1/n Σ max(0, margin - s (a - b)), s = 1 where t > 0, else -1",
        backward=("da = -s/n where the margin is missed, else 0", "db = -da"),
        latex_forward=r"L = \frac{1}{n} \sum \max(0, m - s (a - b)), \quad s = 2 [t > 0] - 1",
        latex_backward=(r"\delta_a = -\delta_b = -\frac{s}{n} \cdot [s (a - b) < m]",),
    )

    @override
    def terms(self, a: Elements, b: Elements, t: Elements) -> tuple[Elements, Elements]:
        side = sign_of(t)
        missing = self.margin - side * (a - b)
        return jnp.maximum(missing, 0), jnp.where(missing <= 0, jnp.zeros_like(side), side)

    def slopes(self, kept: Elements) -> tuple[Elements, Elements]:
        """-s where the margin is missed, else 0; and the opposite."""
        return -kept, kept

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return both scores and the target."""
        a, b, t = inputs
        dtype = computing_dtype(a)
        return a.astype(dtype), self.read_target(a, b).astype(dtype), self.read_target(a, t)
