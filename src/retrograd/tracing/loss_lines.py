"""A loss written out: the sum with numbers filled in, and the delta from which the backward pass starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from retrograd.network.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from retrograd.network.losses.loss import weigh
from retrograd.present.exact import Figures
from retrograd.tracing.lines import MOST_TERMS, Line, Lines, Term, delta_key, indices, is_small, place
from retrograd.tracing.numbers import ObjectiveNumbers

Written = Callable[[ObjectiveNumbers, Figures, tuple[int, ...]], str]
MOST_SUMMANDS = 8


def loss_lines(objective: ObjectiveNumbers, f: Figures) -> Lines:
    """Return each term of the loss (if there are several), and the loss as their sum."""
    loss = objective.loss
    if type(loss).terms is Loss.terms:  # it is not a sum of terms
        return []
    terms, factor, weights = parts_of(objective)
    if not is_small(terms):
        return []
    write = written(loss, TERMS)
    texts = {index: write(objective, f, index) if write else f.number(terms[index]) for index in indices(terms)}
    weighed = terms * weights
    single = terms.size == 1
    lines: Lines = []
    if not single and len(texts) <= MOST_TERMS and any(text != f.number(terms[i]) for i, text in texts.items()):
        lines += [
            Line(f"term:{index}", place("term", index, terms.shape), texts[index], float(terms[index]))
            for index in indices(terms)
        ]
    inside = texts[next(indices(terms))] if single else _sum(weighed, f)
    if single and weights.item() != 1:
        inside = f"{f.number(weights.item())}*{inside}"
    if factor != 1 or not single:
        inside = inside if single and not inside.startswith("-") else f"({inside})"
    text = inside if single and factor == 1 else f"{f.number(factor)}*{inside}"
    return [*lines, Line("loss", "L", text, objective.value)]


def start_lines(objective: ObjectiveNumbers, f: Figures) -> Lines:
    """Return the derivative of the loss by each number of the prediction."""
    if len(objective.starts) != 1:
        return []
    ((reference, start),) = objective.starts.items()
    if not isinstance(start, np.ndarray) or not is_small(start):
        return []
    write = written(objective.loss, SLOPES)
    _, factor, weights = parts_of(objective) if write else (None, 1.0, np.ones(()))
    lines = []
    for index in indices(start):
        number = float(start[index])
        before = factor * objective.weight * float(weights[index[: weights.ndim]])
        text = f.number(number)
        if write:
            slope = write(objective, f, index)
            text = slope if before == 1 else f"{f.number(before)}*{slope}"
        name = place(reference, index, start.shape)
        lines.append(Line(delta_key(reference, index), name, text, number, (Term((("dL/dy", number),)),)))
    return lines


def parts_of(objective: ObjectiveNumbers) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the loss's terms, the factor before their sum, and each term's factor from mask and sample weight."""
    loss = objective.loss
    with jax.enable_x64(objective.inputs[0].dtype == np.float64):
        inputs = tuple(jnp.asarray(array) for array in objective.inputs)
        prediction, further = loss.sort(inputs)
        terms, factor = np.asarray(loss.terms(*loss.read(prediction))[0]), float(loss.factor(*inputs))
        weights = np.asarray(weigh(jnp.ones_like(terms), further))
    return terms, factor, weights


def written(loss: Loss, rules: Mapping[type[Loss], Written]) -> Written | None:
    """Return the rule that writes a loss out; None if it has a setting missing from the short formula."""
    left_out = ("positive_weight", "label_smoothing", "class_weights", "ignored", "normalize")
    if any(getattr(loss, name, None) != getattr(type(loss), name, None) for name in left_out):
        return None
    divides = isinstance(loss, CrossEntropy) and not loss.from_logits  # by the probabilities' sum, and clips
    return None if divides else rules.get(type(loss))


def _sum(values: np.ndarray, f: Figures) -> str:
    flat = values.reshape(-1)
    shown = f.sum([(value,) for value in flat[:MOST_SUMMANDS]])
    return shown if len(flat) <= MOST_SUMMANDS else f"{shown} + ... ({len(flat)} terms)"


def _difference(objective: ObjectiveNumbers, f: Figures, index: tuple[int, ...]) -> str:
    prediction, target = objective.inputs[:2]
    return f"({f.minus(prediction[index], target[index])})"


def _cross_entropy(objective: ObjectiveNumbers, f: Figures, row: tuple[int, ...]) -> str:
    y, target = objective.inputs[:2]
    if target.shape == y.shape:
        return f.number(parts_of(objective)[0][row])
    label = int(target[row])
    if y.shape[-1] > MOST_SUMMANDS:
        return f.number(parts_of(objective)[0][row])
    below = " + ".join(f"exp({f.number(value)})" for value in y[row])
    return f"-log(exp({f.number(y[(*row, label)])}) / ({below}))"


def _cross_entropy_slope(objective: ObjectiveNumbers, f: Figures, index: tuple[int, ...]) -> str:
    y, target = objective.inputs[:2]
    row, k = index[:-1], index[-1]
    is_it = float(target[index]) if target.shape == y.shape else float(int(target[row]) == k)
    share = np.exp(y[row] - y[row].max())
    return f"({f.number((share / share.sum())[k])} - {f.number(is_it)})"


def _sigmoid(y: float) -> float:
    return float(0.5 * np.tanh(0.5 * np.float64(y)) + 0.5)


def _binary(objective: ObjectiveNumbers, f: Figures, index: tuple[int, ...]) -> str:
    y, t = (float(values[index]) for values in objective.inputs[:2])
    logits = objective.loss.from_logits  # type: ignore[attr-defined]
    p = _sigmoid(y) if logits else float(np.clip(y, 1e-7, 1 - 1e-7))
    shown = f.number(p)
    if t in (0.0, 1.0):
        return f"-log({shown})" if t else f"-log(1 - {shown})"
    return f"-({f.number(t)}*log({shown}) + (1 - {f.number(t)})*log(1 - {shown}))"


def _binary_slope(objective: ObjectiveNumbers, f: Figures, index: tuple[int, ...]) -> str:
    y, t = (float(values[index]) for values in objective.inputs[:2])
    if objective.loss.from_logits:  # type: ignore[attr-defined]
        return f"({f.number(_sigmoid(y))} - {f.number(t)})"
    if not 1e-7 < y < 1 - 1e-7:
        return "0"
    return f"((1 - {f.number(t)})/(1 - {f.number(y)}) - {f.number(t)}/{f.number(y)})"


TERMS: Mapping[type[Loss], Written] = {
    MeanSquaredError: lambda o, f, i: f"{_difference(o, f, i)}²",
    MeanAbsoluteError: lambda o, f, i: f"|{_difference(o, f, i)[1:-1]}|",
    BinaryCrossEntropy: _binary,
    CrossEntropy: _cross_entropy,
}
SLOPES: Mapping[type[Loss], Written] = {
    MeanSquaredError: lambda o, f, i: f"2*{_difference(o, f, i)}",
    MeanAbsoluteError: lambda o, f, i: f"sign({_difference(o, f, i)[1:-1]})",
    BinaryCrossEntropy: _binary_slope,
    CrossEntropy: _cross_entropy_slope,
}
