"""The surprise at labels, given log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.base.quantities import Integer, NonNegativeFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.cross_entropy import weights_of
from retrograd.network.losses.labels import NUMBER_FROM_0, beside, read_labels
from retrograd.network.losses.loss import Further, Loss, losses, weigh

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Labels, Rows


@losses.register(
    "nll",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        (
            {"class_weights": [0.5, 1.0, 2.0], "ignored": 1, "reduction": "sum"},
            [(1, 2, 3), Input((1, 2), "labels", classes=3), (1,)],
        ),
    ),
)
@dataclass(frozen=True)
class NLL(Loss):
    """Average the surprise at each row's class, given log-probabilities y, as from log_softmax.

        L = -sum_rows w_t y_t / sum_rows w_t

    class_weights: w, default 1. ignored: a label whose rows are left out; if all are, the loss is 0.

    Shapes:  y [batch, ..., classes], t integers [batch, ...] -> scalar
    Tape:    one-hot classes times w_t
    Raises:  ShapeError, DataTypeError if the target holds no labels. An invalid label makes the loss NaN.
    See:     PyTorch's nll_loss. cross_entropy takes logits, and is exact for them. y is not checked: if it does not
             hold log-probabilities, the loss is unbounded below.
    """

    class_weights: Annotated[tuple[NonNegativeFloat, ...], Words("weight of each class", why="equal weights")] = ()
    ignored: Annotated[Integer | None, Words("label of rows to ignore")] = None

    terms_for = "row"
    takes_labels = reads_scores = True
    equations = Equations(
        forward="L = -1/n Σ_rows w_t y_t, n = Σ_rows w_t",
        backward=("dL/dy_t = -1/n w_t, 0 at the other classes",),
        latex_forward=r"L = -\frac{1}{n} \sum_{rows} w_t y_t, \quad n = \sum_{rows} w_t",
        latex_backward=(r"\frac{\partial L}{\partial y_c} = -\frac{1}{n} w_t [c = t]",),
    )

    @override
    def terms(self, y: Classes, t: Labels) -> tuple[Rows, Classes]:
        chosen, rate = self._rows(t, y)
        slopes = jnp.where(chosen == beside(jnp.arange(y.shape[-1], dtype=chosen.dtype), y), -rate, jnp.zeros_like(y))
        terms = jnp.where(rate == 0, jnp.zeros_like(rate), -rate * jnp.take_along_axis(y, chosen, -1))
        return terms[..., 0], slopes

    def slopes(self, kept: Classes) -> Classes:
        """-w_t at the row's class, else 0."""
        return kept

    def count(self, prediction: Any, target: Any, *further: Any) -> Array:
        """Return the sum of w_t over the rows that count."""
        mask = self.sort((prediction, target, *further))[1].mask
        return jnp.sum(weigh(self._rows(target, prediction)[1][..., 0], Further(mask, None)))

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return labels unchanged."""
        if target.shape != prediction.shape[:-1]:
            raise ShapeError(f"expected labels {prediction.shape[:-1]}, got {tuple(target.shape)}",
                             cure="give one class number per row")  # fmt: skip
        if not jnp.issubdtype(target.dtype, jnp.integer):
            raise DataTypeError(f"class labels must be integers, found {target.dtype}", cure=NUMBER_FROM_0)
        return target

    def _rows(self, labels: Array, y: Any) -> tuple[Array, Array]:
        """Return each row's class and w_t [batch, ..., 1]: 0 if ignored, NaN if there is no such class."""
        weights = weights_of(self.class_weights, y)
        safe, valid = read_labels(labels[..., None], y.shape[-1], self.ignored, weights.dtype)
        return safe, valid * weights[safe]
