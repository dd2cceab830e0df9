"""The pinball loss: quantiles instead of means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import ShapeError
from retrograd.network.layer import Equations, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


Share = Annotated[float, Field(gt=0, lt=1), Expect("a number between 0 and 1")]
Shares = Annotated[Share | tuple[Share, ...], Expect("a number between 0 and 1, or a list of one for each output")]


@losses.register(
    "quantile",
    examples=examples(
        ({"quantile": 0.9}, [(5, 3), (5, 3)]),
        ({"quantile": [0.1, 0.5, 0.9], "reduction": "sum"}, [(1, 3), (1, 1), (1,)]),
    ),
)
@dataclass(frozen=True)
class Quantile(Loss):
    """Average the distance to the target, weighted so that a share `quantile` of the targets lies below the output.

        L = 1/n sum max(q (t - y), (q - 1) (t - y))

    A list gives each output its own quantile of one target: `dense: 3` with `quantile: [0.1, 0.5, 0.9]` predicts a
    range and its middle.

    Shapes:  y [batch, ..., outputs], t the same, or one target for all outputs [batch, ..., 1] -> scalar
    Tape:    t - y, q
    Raises:  ShapeError if the numbers of quantiles and outputs differ.
    See:     Koenker & Bassett 1978; scikit-learn's mean_pinball_loss. The derivative at y = t is 0. With 0.5 it is half
             the mean absolute error.
    """

    quantile: Annotated[
        Shares, Words("share of the targets that lie below the output", more="higher outputs", less="lower outputs")
    ] = 0.5

    equations = Equations(
        forward="L = 1/n Σ max(q (t - y), (q - 1) (t - y))",
        backward=("dL/dy = -q/n where t > y, (1 - q)/n where t < y, else 0",),
        latex_forward=r"L = \frac{1}{n} \sum \max(q (t - y), (q - 1)(t - y))",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} ([t < y] - q)",),
    )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, Elements]]:
        q = jnp.broadcast_to(jnp.asarray(self.quantile, y.dtype).reshape((1,) * (y.ndim - 1) + (-1,)), y.shape)
        missing = t - y
        return jnp.maximum(q * missing, (q - 1) * missing), (missing, q)

    def slopes(self, kept: tuple[Elements, Elements]) -> Elements:
        """-q where t > y, 1 - q where t < y, 0 where they are equal."""
        missing, q = kept
        return jnp.where(missing == 0, jnp.zeros_like(q), jnp.where(missing > 0, -q, 1 - q))

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return the target for each output: the same for all if there are several quantiles."""
        if isinstance(self.quantile, tuple):
            if len(self.quantile) != prediction.shape[-1]:
                raise ShapeError(f"{len(self.quantile)} quantiles for {prediction.shape[-1]} outputs", where="quantile",
                                 cure=f"the last layer needs {len(self.quantile)} units")  # fmt: skip
            target = target[..., None] if target.ndim == prediction.ndim - 1 else target
            if target.shape == (*prediction.shape[:-1], 1):
                target = jnp.broadcast_to(target, prediction.shape)
        return super().read_target(prediction, target)
