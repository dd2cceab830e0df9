"""The logarithm of the hyperbolic cosine of differences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "log_cosh",
    examples=examples(({}, [(5, 3), (5, 3)]), ({"reduction": "sum"}, [(1, 2), (1, 2), (1,)])),
)
@dataclass(frozen=True)
class LogCosh(Loss):
    """Average a smooth distance: half the square near the target, the distance minus log 2 far from it.

        L = 1/n sum log cosh(y - t)

    Shapes:  y [batch, ...], t the same -> scalar
    Tape:    y - t
    See:     Keras's log_cosh. huber does the same with a corner in its second derivative.
    """

    equations = Equations(
        forward="L = 1/n Σ log cosh(y - t)",
        backward=("dL/dy = 1/n tanh(y - t)",),
        latex_forward=r"L = \frac{1}{n} \sum \log \cosh (y - t)",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \tanh(y - t)",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, Elements]:
        distance = jnp.abs(y - t)
        return distance + jnp.log1p(jnp.exp(-2 * distance)) - jnp.log(2).astype(y.dtype), y - t  # no cosh overflows

    def slopes(self, kept: Elements) -> Elements:
        """tanh(y - t)."""
        return jnp.tanh(kept)
