"""Losses as ONNX nodes: the loss, and the delta of the output from which a backward pass starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network import losses
from retrograd.network.losses.loss import CLIP, Loss
from retrograd.ship.onnx.graph import TYPES, Graph, Value


class Terms(NamedTuple):
    """The terms of a loss, its derivatives by the output, and the divisor of a mean; None: the number of terms."""

    terms: str
    slopes: str
    divisor: str | None = None


Form = Callable[[Graph, Any, str, str, int], Terms]  # graph, loss, output, target of the same shape, classes


def write_loss(g: Graph, loss: Loss, y: Value, target: str, weight: float) -> tuple[str, Value]:
    """Add the nodes of a loss; return the loss and the delta of y. `target` has the shape of y.

    Raises:  ConfigError for a loss without a training form
    """
    form = FORMS.get(type(loss))
    if form is None:
        known = ", ".join(sorted(losses.losses.name_of(kind) for kind in FORMS))
        message = f"{loss.kind} has no ONNX form for training"
        raise ConfigError(message, where="loss", cure=f"use one of: {known}")
    g.path = "loss"
    terms, slopes, count = form(g, loss, g.plain(y), target, y.shape[-1])
    total, factor = g.op("ReduceSum", terms, keepdims=0), g.constant(float(loss.scale))
    if loss.reduction == "mean":
        count = g.op("Cast", g.op("Size", terms), to=TYPES["float32"]) if count is None else count
        factor = g.op("Div", factor, count)
    delta = g.op("Mul", slopes, g.op("Mul", factor, float(weight)))
    return g.op("Mul", total, factor), Value(delta, y.shape)


def _cross_entropy(g: Graph, loss: losses.CrossEntropy, y: str, target: str, classes: int) -> Terms:
    """-Σ m log p per row, m = w ((1 - e) t + e / C); slope p Σ m - m."""
    if loss.ignored is not None:
        raise ConfigError("no ONNX form for training", where="loss.ignored", cure="remove it")
    weights = np.array(loss.class_weights or (1.0,) * classes, np.float32)
    smoothing, last = float(loss.label_smoothing), np.array([-1])
    hit = g.op("Mul", target, weights)
    mass = hit
    if smoothing:
        mass = g.op("Add", g.op("Mul", hit, 1 - smoothing), weights * np.float32(smoothing / classes))
    count = g.op("ReduceSum", hit, keepdims=0)
    if loss.from_logits:
        terms = g.op("Mul", mass, g.op("LogSoftmax", y, axis=-1))
        slopes = g.op("Sub", g.op("Mul", g.op("ReduceSum", mass, last, keepdims=1), g.op("Softmax", y, axis=-1)), mass)
        return Terms(g.op("Neg", g.op("ReduceSum", terms, last, keepdims=0)), slopes, count)
    total = g.op("ReduceSum", y, last, keepdims=1)
    p = g.op("Div", y, total) if loss.normalize else y
    terms = g.op("Mul", mass, g.op("Log", _clipped(g, p)))
    slopes = g.op("Where", _inside(g, p), g.op("Neg", g.op("Div", mass, p)), 0.0)
    if loss.normalize:
        mean = g.op("ReduceSum", g.op("Mul", slopes, p), last, keepdims=1)
        slopes = g.op("Div", g.op("Sub", slopes, mean), total)
    return Terms(g.op("Neg", g.op("ReduceSum", terms, last, keepdims=0)), slopes, count)


def _binary_cross_entropy(g: Graph, loss: losses.BinaryCrossEntropy, y: str, target: str, classes: int) -> Terms:
    """-w t log p - (1 - t) log(1 - p); slope (1 - t) p - w t (1 - p) for logits."""
    smoothing = float(loss.label_smoothing)
    if smoothing:
        target = g.op("Add", g.op("Mul", target, 1 - smoothing), smoothing / 2)
    yes, no = g.op("Mul", target, np.array(loss.positive_weight, np.float32)), g.op("Sub", 1.0, target)
    if loss.from_logits:
        other = g.op("Neg", y)
        terms = g.op("Add", g.op("Mul", yes, g.op("Softplus", other)), g.op("Mul", no, g.op("Softplus", y)))
        return Terms(terms, g.op("Sub", g.op("Mul", no, g.op("Sigmoid", y)), g.op("Mul", yes, g.op("Sigmoid", other))))
    p = _clipped(g, y)
    rest = g.op("Sub", 1.0, p)
    terms = g.op("Neg", g.op("Add", g.op("Mul", yes, g.op("Log", p)), g.op("Mul", no, g.op("Log", rest))))
    slopes = g.op("Sub", g.op("Div", no, rest), g.op("Div", yes, p))
    return Terms(terms, g.op("Where", _inside(g, y), slopes, 0.0))


def _clipped(g: Graph, p: str) -> str:
    return g.op("Clip", p, np.float32(CLIP), np.float32(1 - CLIP))


def _inside(g: Graph, p: str) -> str:
    return g.op("And", g.op("Greater", p, float(CLIP)), g.op("Less", p, 1 - CLIP))


def _squared_error(g: Graph, loss: Any, y: str, target: str, classes: int) -> Terms:
    """(y - t)²; slope 2 (y - t)."""
    difference = g.op("Sub", y, target)
    return Terms(g.op("Mul", difference, difference), g.op("Mul", difference, 2.0))


def _absolute_error(g: Graph, loss: Any, y: str, target: str, classes: int) -> Terms:
    """|y - t|; slope sign(y - t)."""
    difference = g.op("Sub", y, target)
    return Terms(g.op("Abs", difference), g.op("Sign", difference))


def _huber(g: Graph, loss: losses.Huber, y: str, target: str, classes: int) -> Terms:
    """n (|d| - n / 2), n = min(|d|, delta); slope d, limited to ±delta."""
    difference = g.op("Sub", y, target)
    distance = g.op("Abs", difference)
    near = g.op("Min", distance, float(loss.delta))
    terms = g.op("Mul", near, g.op("Sub", distance, g.op("Mul", near, 0.5)))
    return Terms(terms, g.op("Clip", difference, np.float32(-loss.delta), np.float32(loss.delta)))


FORMS: dict[type, Form] = {
    losses.CrossEntropy: _cross_entropy,
    losses.BinaryCrossEntropy: _binary_cross_entropy,
    losses.MeanSquaredError: _squared_error,
    losses.MeanAbsoluteError: _absolute_error,
    losses.Huber: _huber,
}
