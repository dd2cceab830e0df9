"""Connectionist temporal classification: a sequence of labels for a longer sequence of steps, without alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.base.quantities import NonNegativeInt
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.alignments import IMPOSSIBLE, alignments_back, alignments_forward, expand
from retrograd.network.losses.labels import NUMBER_FROM_0
from retrograd.network.losses.loss import Further, Loss, computing_dtype, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Counts, Examples, KeptOfCTC, Steps, StepsThere, Texts


@losses.register(
    "ctc",
    examples=examples(
        ({}, [(2, 7, 4), Input((2, 3), "labels", classes=4)]),
        (
            {"blank": 2, "per_label": False, "zero_impossible": True},
            [(3, 6, 3), Input((3, 3), "labels", classes=3), Input((3, 6), "mask"), (3,)],
        ),
        (
            {"zero_impossible": True, "reduction": "sum"},
            [
                (1, 5, 3),
                Input((1, 3), "labels", classes=3),
                Input((1,), "labels", classes=6),
                Input((1,), "labels", classes=4),
            ],
        ),
    ),
)
@dataclass(frozen=True)
class CTC(Loss):
    """Average the surprise at each sequence of labels, summed over all its alignments with the steps.

        L = -1/n sum log P,  P = the sum over alignments of the product over steps of softmax(y)[step's class]

    An alignment assigns a class or the `blank` to each step; repetitions are merged, then blanks removed. P is summed
    step by step forward (alpha) and, for the gradient, backward (beta), in logarithms.

    Labels are padded with the blank, or come with their lengths. `per_label`: each sequence's surprise is divided by
    its number of labels. A sequence with too few steps for its labels has P = 0 and an infinite loss;
    `zero_impossible` leaves it out.

    Shapes:  y [batch, time, classes], labels integers [batch, length], [steps: mask [batch, time] or numbers of steps
             [batch], integers], [numbers of labels [batch], integers], [weight [batch]] -> scalar
    Tape:    softmax(y), alpha, log P, the labels with blanks between them
    Raises:  ShapeError, DataTypeError if labels, lengths or mask do not fit. An invalid label gives NaN.
    See:     Graves et al. 2006, section 4. As PyTorch's ctc_loss of log_softmax(y), which has time first.
    """

    blank: Annotated[NonNegativeInt, Words("the label that means no label")] = 0
    per_label: Annotated[
        bool, Words("whether each sequence's loss is divided by its number of labels", why="as PyTorch's mean does")
    ] = True
    zero_impossible: Annotated[
        bool,
        Words(
            "whether a sequence too short for its labels costs 0 instead of infinity",
            why="false: such rows should be noticed",
        ),
    ] = False

    terms_for = "example"
    takes_labels = True
    equations = Equations(
        forward="L = -1/n Σ log P; α(t, s) = y'(t, s) (α(t-1, s) + α(t-1, s-1) + α(t-1, s-2) where s may be "
        "skipped to), P = α(T, last) + α(T, last but one)",
        backward=(
            "β(t, s) = Σ over the same moves of β(t+1, s') y'(t+1, s')",
            "dL/dy(t, k) = 1/n (softmax(y)(t, k) - Σ_{s: label k} α(t, s) β(t, s) / P)",
        ),
        latex_forward=r"L = -\frac{1}{n} \sum \log P, \quad P = \sum_{\pi} \prod_t p_{t, \pi_t}",
        latex_backward=(
            r"\frac{\partial L}{\partial y_{tk}} = \frac{1}{n} \Big( p_{tk} - \frac{1}{P}"
            r" \textstyle\sum_{s: l_s = k} \alpha_{ts} \beta_{ts} \Big)",
        ),
    )

    @override
    def terms(
        self,
        y: Steps,
        labels: Texts,
        there: StepsThere,
        counts: Counts,
    ) -> tuple[Examples, KeptOfCTC]:
        shifted = y - jnp.max(y, -1, keepdims=True)
        log_p = shifted - jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))
        path = expand(labels, counts, self.blank)
        alpha, log_total = alignments_forward(log_p, path, there)
        impossible = log_total < IMPOSSIBLE / 2
        share = 1 / jnp.maximum(counts, 1).astype(y.dtype) if self.per_label else jnp.ones_like(log_total)
        known = (labels >= 0) & (labels < y.shape[-1])
        share = jnp.where(known.all(-1), share, jnp.full_like(share, jnp.nan))
        never = jnp.zeros_like(share) if self.zero_impossible else jnp.full_like(share, jnp.inf)
        terms = jnp.where(impossible, never, -log_total * share)
        return terms, (log_p, path, there, alpha, log_total, jnp.where(impossible, jnp.zeros_like(share), share))

    def slopes(self, kept: KeptOfCTC) -> Steps:
        """softmax(y) minus each class's share of the alignments at each step; 0 where there is no step."""
        log_p, path, there, alpha, log_total, share = kept
        reached = alignments_back(log_p, path, there, alpha, log_total)
        slopes = jnp.where(there[..., None], jnp.exp(log_p) - reached, jnp.zeros_like(log_p))
        return share[:, None, None] * slopes

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return logits, labels (blank where missing), the mask of valid steps, and the numbers of labels."""
        y, labels, *lengths = inputs
        steps, numbers = [*lengths, None, None][:2]
        there = jnp.ones(y.shape[:2], bool) if steps is None else steps
        if there.ndim == 1:
            there = jnp.arange(y.shape[1], dtype=there.dtype)[None] < there[:, None]
        if numbers is not None:
            inside = jnp.arange(labels.shape[1], dtype=numbers.dtype)[None] < numbers[:, None]
            labels = jnp.where(inside, labels, jnp.full_like(labels, self.blank))
        counts = jnp.sum(labels != self.blank, -1, dtype=jnp.int32)
        return y.astype(computing_dtype(y)), labels, there, counts

    def sort(self, inputs: tuple[Any, ...]) -> tuple[tuple[Any, ...], Further]:
        """Return what `read` takes, and the sample weight: the input of real numbers after the labels."""
        if len(inputs) < 2 or inputs[0].ndim != 3 or inputs[1].shape[:-1] != inputs[0].shape[:1]:
            shapes = ", ".join(str(tuple(array.shape)) for array in inputs)
            raise ShapeError(f"expected logits (batch, time, classes) and labels (batch, length), got {shapes}")
        weights = [array for array in inputs[2:] if jnp.issubdtype(array.dtype, jnp.floating)]
        lengths = [array for array in inputs[2:] if not jnp.issubdtype(array.dtype, jnp.floating)]
        fitting = [(*inputs[0].shape[:2],)] if lengths and lengths[0].dtype == jnp.bool_ else [inputs[0].shape[:1]]
        fitting = [*fitting, inputs[0].shape[:1]][: len(lengths)]
        if len(weights) > 1 or len(lengths) > 2 or [array.shape for array in lengths] != fitting:
            shapes = ", ".join(f"{array.dtype.name}{list(array.shape)}" for array in inputs[2:])
            raise ShapeError(f"expected steps (a mask [batch, time] or integers [batch]), numbers of labels (integers "
                             f"[batch]) and a weight (numbers [batch]), got {shapes}")  # fmt: skip
        if not jnp.issubdtype(inputs[1].dtype, jnp.integer):
            raise DataTypeError(f"class labels must be integers, found {inputs[1].dtype}", cure=NUMBER_FROM_0)
        return (*inputs[:2], *lengths), Further(None, weights[0] if weights else None)
