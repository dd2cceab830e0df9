"""The hinge loss of support vector machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "hinge",
    examples=examples(
        ({}, [(5, 1), Input((5, 1), "signs")]),
        ({"reduction": "sum"}, [(4, 3), Input((4, 3), "binary"), (4,)]),
    ),
)
@dataclass(frozen=True)
class Hinge(Loss):
    """Average how far each output falls short of a margin of 1 on its target's side of 0.

        L = 1/n sum max(0, 1 - s y),  s = 1 where t > 0, else -1

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    s where the margin is missed, else 0
    See:     Cortes & Vapnik 1995. Targets are coded -1, 1 or 0, 1: element by element, what is not above 0 counts as
             the negative class. The derivative where s y = 1 is 0.
    """

    equations = Equations(
        forward="L = 1/n Σ max(0, 1 - s y), s = 1 where t > 0, else -1",
        backward=("dL/dy = -s/n where s y < 1, else 0",),
        latex_forward=r"L = \frac{1}{n} \sum \max(0, 1 - s y), \quad s = 2 [t > 0] - 1",
        latex_backward=(r"\frac{\partial L}{\partial y} = -\frac{s}{n} \cdot [s y < 1]",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        side = jnp.where(t > 0, 1.0, jnp.where(t <= 0, -1.0, t)).astype(y.dtype)  # a NaN target stays NaN
        missing = 1 - side * y
        return jnp.maximum(missing, 0), jnp.where(missing <= 0, jnp.zeros_like(side), side)

    def slopes(self, kept: Elements) -> Elements:
        """-s where the margin is missed, else 0."""
        return -kept
