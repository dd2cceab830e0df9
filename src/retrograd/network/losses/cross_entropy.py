"""Cross-entropy of one class among several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import DataTypeError, Problem, ShapeError
from retrograd.base.quantities import Fraction, Integer, NonNegativeFloat
from retrograd.base.sentence import entry_setting
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.labels import NUMBER_FROM_0, beside, read_labels
from retrograd.network.losses.loss import (
    CLIP,
    FROM_LOGITS,
    SMOOTHED_LABELS,
    Further,
    Loss,
    computing_dtype,
    losses,
    weigh,
)

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, KeptOfCrossEntropy, Labels, Rows


@losses.register(
    "cross_entropy",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        ({"label_smoothing": 0.1, "reduction": "sum"}, [(1, 3), Input((1,), "labels", classes=3), (1,)]),
        (
            {"class_weights": [0.5, 1.0, 2.0], "ignored": 1, "label_smoothing": 0.2},
            [(4, 2, 3), Input((4, 2), "labels", classes=3), (4,)],
        ),
        ({"ignored": 0}, [(2, 3, 4), Input((2, 3), "labels", classes=4), Input((2, 3), "mask"), (2,)]),
        ({"class_weights": [0.5, 2.0, 1.0]}, [(4, 3), Input((4, 3), "probabilities")]),
        ({"from_logits": False}, [Input((4, 3), "probabilities"), Input((4,), "labels", classes=3)]),
        (
            {"from_logits": False, "normalize": False, "scale": 0.5},
            [Input((4, 3), "probabilities"), Input((4, 3), "probabilities")],
        ),
    ),
)
@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Average the surprise at each row's class, given logits y (or, with `from_logits: false`, probabilities).

        L = -sum_rows sum_c w_c q_c log p_c / sum_rows w_t,  p = softmax(y)
        q = (1 - e) onehot(t) + e / C

    label_smoothing: e. class_weights: w, default 1. ignored: a label whose rows are left out; if all are, the loss is
    0. A target of the prediction's shape holds probabilities instead of onehot(t); the mean is then over the rows,
    regardless of class weights, as in PyTorch. normalize: divide probabilities by their sum. In sequences
    [batch, time, classes] each step is a row; a mask [batch, time] selects the valid ones.

    Shapes:  y [batch, ..., classes], t integers [batch, ...] or numbers [batch, ..., classes] -> scalar
    Tape:    logits: exp(y - max y), its sum, t; probabilities: p, the sum that it was divided by, t
    Raises:  ShapeError, DataTypeError if the target is neither. An invalid label cannot be reported from a compiled
             pass: its loss is NaN (see `check_labels`).
    See:     probabilities are clipped to [1e-7, 1 - 1e-7], with gradient 0 outside, as in Keras. PyTorch ignores -100
             by default, and gives NaN if all rows are ignored.
    """

    label_smoothing: Annotated[Fraction, SMOOTHED_LABELS] = 0.0
    class_weights: Annotated[tuple[NonNegativeFloat, ...], Words("weight of each class", why="equal weights")] = ()
    ignored: Annotated[Integer | None, Words("label of rows to ignore")] = None
    from_logits: Annotated[bool, FROM_LOGITS] = True
    normalize: Annotated[
        bool, Words("whether to divide probabilities by their sum", why="true: makes every row sum to 1")
    ] = True

    terms_for = "row"
    takes_labels = True
    equations = Equations(
        forward="L = -1/n Σ_rows Σ_c w_c q_c log p_c, p = softmax(y), n = Σ_rows w_t",
        backward=("dL/dy_c = 1/n (p_c Σ_k w_k q_k - w_c q_c), which is (p - onehot(t))/n for plain labels",),
        latex_forward=(
            r"L = -\frac{1}{n} \sum_{rows} \sum_c w_c q_c \log p_c, \quad p = \operatorname{softmax}(y),"
            r" \quad n = \sum_{rows} w_t"
        ),
        latex_backward=(
            r"\frac{\partial L}{\partial y_c} = \frac{1}{n} \left( p_c \textstyle\sum_k w_k q_k - w_c q_c \right)",
        ),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.from_logits and not self.normalize:
            yield Problem(
                "normalize",
                "applies to probabilities, but these are logits",
                "add " + entry_setting("from_logits", "false"),
            )

    @override
    def written(self) -> Equations:
        w = "w_c " if self.class_weights else ""
        e = self.label_smoothing
        q = f"q = {1 - e:g} onehot(t) + {e:g}/C" if e else "q = onehot(t)"
        n = ", n = Σ_rows w_t" if w else ""
        slope = "p_c Σ_k w_k q_k - w_c q_c" if w else "p_c - q_c"
        p, latex_p = "p = softmax(y)", r"p = \operatorname{softmax}(y)"
        backward, latex = f"dL/dy_c = 1/n ({slope})", slope.replace("Σ_k", r"\textstyle\sum_k")
        if not self.from_logits:
            p, latex_p = ("p = y / Σ y", r"p = y / \textstyle\sum y") if self.normalize else ("p = y", "p = y")
            backward = f"dL/dy_c = -1/n {w}q_c / p_c"
            latex = rf"-{w}q_c / p_c"
            if self.normalize:
                backward = f"dL/dy_c = 1/n (g_c - Σ_k g_k p_k) / Σ y, g_c = -{w}q_c / p_c"
                latex = r"(g_c - \textstyle\sum_k g_k p_k) / \sum y"
        return Equations(
            forward=f"L = -1/n Σ_rows Σ_c {w}q_c log p_c, {p}, {q}{n}",
            backward=(backward,),
            latex_forward=rf"L = -\frac{{1}}{{n}} \sum_{{rows}} \sum_c {w}q_c \log p_c, \quad {latex_p}"
            + (r", \quad n = \sum_{rows} w_t" if w else ""),
            latex_backward=(rf"\frac{{\partial L}}{{\partial y_c}} = \frac{{1}}{{n}} \left( {latex} \right)",),
        )

    @override
    def terms(self, y: Classes, t: Classes | Labels) -> tuple[Rows, KeptOfCrossEntropy]:
        log, kept = _softmax(y) if self.from_logits else _proportions(y, self.normalize)
        if t.ndim == y.ndim:
            return _surprise(self._mass(t, y).per_class, log(y)), (kept, t)
        chosen, rate, share = self._rows(t, y)  # one logarithm per row: nearly twice as fast as one per class
        terms = _surprise((1 - self.label_smoothing) * rate, log(jnp.take_along_axis(y, chosen, -1)))
        return terms + _surprise(share, log(y)) if self.label_smoothing else terms, (kept, t)

    def slopes(self, kept: KeptOfCrossEntropy) -> Classes:
        """Logits: p_c Σ_k w_k q_k - w_c q_c. Otherwise: -w_c q_c / p_c inside the clip, then through the division."""
        (first, total), t = kept
        mass = self._mass(t, first)
        if self.from_logits:
            return mass.whole / total * first - mass.per_class
        slopes = jnp.where((first > CLIP) & (first < 1 - CLIP), -mass.per_class / first, jnp.zeros_like(first))
        if not self.normalize:
            return slopes
        return (slopes - jnp.sum(slopes * first, -1, keepdims=True)) / total

    def _mass(self, t: Array, y: Array) -> _Mass:
        weights, smoothing, classes = weights_of(self.class_weights, y), self.label_smoothing, y.shape[-1]
        if t.ndim == y.ndim:
            masses = beside(weights, y) * ((1 - smoothing) * t + smoothing / classes if smoothing else t)
            return _Mass(masses, jnp.sum(masses, -1, keepdims=True))
        chosen, rate, share = self._rows(t, y)
        hit = chosen == beside(jnp.arange(classes, dtype=chosen.dtype), y)
        masses = jnp.where(hit, (1 - smoothing) * rate, jnp.zeros_like(beside(weights, y)))
        if not smoothing:
            return _Mass(masses, rate)
        return _Mass(masses + share, (1 - smoothing) * rate + jnp.sum(share, -1, keepdims=True))

    def _rows(self, labels: Array, y: Any) -> _Rows:
        weights = weights_of(self.class_weights, y)
        safe, valid = read_labels(labels[..., None], y.shape[-1], self.ignored, weights.dtype)
        return _Rows(safe, valid * weights[safe], valid * beside(weights, y) * (self.label_smoothing / y.shape[-1]))

    def count(self, prediction: Any, target: Any, *further: Any) -> Array:
        """Return the sum of w_t over the rows that count; for a target of probabilities, the number of rows."""
        if target.ndim == prediction.ndim:
            return super().count(prediction, target, *further)
        mask = self.sort((prediction, target, *further))[1].mask
        return jnp.sum(weigh(self._rows(target, prediction).rate[..., 0], Further(mask, None)))

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return labels unchanged, probabilities in the dtype of the computation."""
        if target.shape == prediction.shape:
            return target.astype(computing_dtype(prediction))
        if target.shape != prediction.shape[:-1]:
            raise ShapeError(
                f"expected labels {prediction.shape[:-1]} or probabilities {prediction.shape}, got {target.shape}",
                cure=_shape_cure(prediction.shape, target.shape),
            )
        if not jnp.issubdtype(target.dtype, jnp.integer):
            raise DataTypeError(f"class labels must be integers, found {target.dtype}", cure=NUMBER_FROM_0)
        return target


class _Mass(NamedTuple):
    """w_c q_c [batch, ..., classes], the weight of each class's logarithm, and its sum over the classes."""

    per_class: Array
    whole: Array


class _Rows(NamedTuple):
    """Each row's class and w_t [batch, ..., 1], and e/C w_c [batch, ..., classes], from labels.

    Both weights are 0 if the row is ignored, NaN if its label is invalid.
    """

    chosen: Array
    rate: Array
    share: Array


def weights_of(class_weights: tuple[float, ...], y: Any) -> Array:
    """Return the weight of each class of a prediction, by default 1."""
    classes = y.shape[-1]
    if class_weights and len(class_weights) != classes:
        message = f"expected {classes} class weights, one for each class, got {len(class_weights)}"
        raise ShapeError(message, where="class_weights")
    dtype = computing_dtype(y)
    return jnp.asarray(class_weights, dtype) if class_weights else jnp.ones(classes, dtype)


Log = Callable[[Array], Array]


def _surprise(mass: Array, logs: Array) -> Array:
    """Return -sum_c mass_c log p_c; a logarithm with weight 0 may be infinite."""
    return jnp.sum(jnp.where(mass == 0, jnp.zeros_like(logs), -mass * logs), -1)


def _softmax(y: Array) -> tuple[Log, tuple[Array, Array]]:
    """Return log p as a function of the logits of some classes, and exp(y - max y) with its sum."""
    largest = jnp.max(y, -1, keepdims=True)
    exponentials = lax.optimization_barrier(jnp.exp(y - largest))  # computed once, read by the sum and by backward
    total = jnp.sum(exponentials, -1, keepdims=True)
    return lambda chosen: (chosen - largest) - jnp.log(total), (exponentials, total)


def _proportions(y: Array, normalize: bool) -> tuple[Log, tuple[Array, Array]]:
    """Return log p as a function of the values of some classes, and p before clipping with the values' sum."""
    total = jnp.sum(y, -1, keepdims=True) if normalize else jnp.ones_like(y[..., :1])
    return lambda chosen: jnp.log(jnp.clip(chosen / total, CLIP, 1 - CLIP)), (y / total, total)


def _shape_cure(prediction: tuple[int, ...], target: tuple[int, ...]) -> str:
    if target == (*prediction[:-1], 1):
        return f"reshape the labels to {prediction[:-1]}, as target[..., 0] does"
    if len(prediction) > 2 and target == prediction[:1] + prediction[2:]:
        return "the classes must be the last axis of the prediction: move its axis 1 there"
    return "reshape the target, or change the units of the last layer"
