"""Huber's loss: squares near the target, distances far from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "huber",
    examples=examples(
        ({}, [(5, 3), (5, 3)]),
        ({"delta": 0.3, "reduction": "sum"}, [(1, 2), (1, 2), (1,)]),
    ),
)
@dataclass(frozen=True)
class Huber(Loss):
    """Average half the squared difference, continued linearly beyond `delta`.

        L = 1/n sum h(y - t),  h(d) = d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2)

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    y - t
    See:     Huber 1964. PyTorch's smooth_l1_loss with beta is `huber: {delta: beta, scale: 1/beta}`.
    """

    delta: Annotated[
        PositiveFloat,
        Words(
            "error beyond which the loss is linear instead of quadratic",
            more="closer to squared error",
            less="closer to absolute error: outliers pull less",
        ),
    ] = 1.0

    equations = Equations(
        forward="L = 1/n Σ h(y - t), h(d) = d²/2 where |d| ≤ δ, else δ (|d| - δ/2)",
        backward=("dL/dy = 1/n clip(y - t, -δ, δ)",),
        latex_forward=(
            r"L = \frac{1}{n} \sum h(y - t), \quad h(d) = \begin{cases} d^2 / 2 & |d| \le \delta \\"
            r" \delta (|d| - \delta / 2) & \text{else} \end{cases}"
        ),
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \max(-\delta, \min(\delta, y - t))",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        difference = y - t
        distance = jnp.abs(difference)
        near = jnp.minimum(distance, self.delta)  # one formula for both parts, and no square overflows
        return near * (distance - near / 2), difference

    def slopes(self, kept: Elements) -> Elements:
        """y - t, clipped to [-delta, delta]."""
        return jnp.clip(kept, -self.delta, self.delta)
