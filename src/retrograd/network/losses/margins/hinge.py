"""The hinge loss of support vector machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "hinge",
    examples=examples(
        ({}, [(5, 1), Input((5, 1), "signs")]),
        ({"reduction": "sum", "p": 2}, [(4, 3), Input((4, 3), "binary"), (4,)]),
    ),
)
@dataclass(frozen=True)
class Hinge(Loss):
    """Average how far each output falls short of a margin of 1 on its target's side of 0.

        L = 1/n sum max(0, 1 - s y),  s = 1 where t > 0, else -1

    With `p: 2` the shortfall is squared.

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    s where the margin is missed, else 0; squared, twice the shortfall
    See:     Cortes & Vapnik 1995. Targets are coded -1, 1 or 0, 1: every element not above 0 is the negative class. The
             derivative where s y = 1 is 0.
    """

    p: Annotated[Literal[1, 2], Words("power of the shortfall: linear or squared", why="1: outliers pull less")] = 1

    reads_scores = True
    equations = Equations(
        forward="L = 1/n Σ max(0, 1 - s y), s = 1 where t > 0, else -1",
        backward=("dL/dy = -s/n where s y < 1, else 0",),
        latex_forward=r"L = \frac{1}{n} \sum \max(0, 1 - s y), \quad s = 2 [t > 0] - 1",
        latex_backward=(r"\frac{\partial L}{\partial y} = -\frac{s}{n} \cdot [s y < 1]",),
    )

    @override
    def written(self) -> Equations:
        if self.p == 1:
            return self.equations
        return Equations(
            forward="L = 1/n Σ max(0, 1 - s y)², s = 1 where t > 0, else -1",
            backward=("dL/dy = -2/n s max(0, 1 - s y)",),
            latex_forward=r"L = \frac{1}{n} \sum \max(0, 1 - s y)^2, \quad s = 2 [t > 0] - 1",
            latex_backward=(r"\frac{\partial L}{\partial y} = -\frac{2}{n} s \max(0, 1 - s y)",),
        )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        side = sign_of(t)
        missing = 1 - side * y
        lack = jnp.maximum(missing, 0)
        if self.p == 2:
            return lack * lack, 2 * side * lack
        return lack, jnp.where(missing <= 0, jnp.zeros_like(side), side)

    def slopes(self, kept: Elements) -> Elements:
        """-s where the margin is missed, else 0; squared, -2 s times the shortfall."""
        return -kept


def sign_of(t: Array) -> Array:
    """Return 1 for targets above 0, -1 for others; a NaN stays NaN."""
    return jnp.where(t > 0, 1.0, jnp.where(t <= 0, -1.0, t)).astype(t.dtype)
