"""From the network's output to what users read: labels and probabilities, or values in their own unit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from retrograd.data.images.masks import Masks
from retrograd.data.preprocessing import Target
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.scaling import Scaling
from retrograd.data.tables.target import Decoded, Labels, Link, Quantities
from retrograd.data.windows.levels import LEVEL, SPREAD
from retrograd.ship.onnx.graph import BATCH, TYPES, Graph, Value

LABEL, PROBABILITIES, VALUES, OUTPUT = "label", "probabilities", "values", "output"


class Answer(NamedTuple):
    """One output of the file: its name in the graph, its name, its dtype and shape."""

    value: str
    name: str
    dtype: str
    shape: tuple[Any, ...]


def write_answers(g: Graph, target: Target | None, y: Value, link: Link, columns: dict[str, Value]
                  ) -> list[Answer]:  # fmt: skip
    """Return the outputs of the file, in float64 as in `predict`; targets that it cannot decode give the raw output."""
    g.path = "answer"
    rest = y.shape[1:]
    if isinstance(target, Labels):
        probabilities = _probabilities(g, target.binary, y, link)
        dtype, classes = _labels(target.classes)
        label = g.op("ArgMax", probabilities, axis=1, keepdims=0)
        if dtype != "int64" or [*classes] != [*range(len(classes))]:
            label = g.op("Gather", classes, label)
        return [Answer(label, LABEL, dtype, (BATCH,)),
                Answer(probabilities, PROBABILITIES, "float64", (BATCH, len(target.classes)))]  # fmt: skip
    if isinstance(target, MultiLabels):
        shares = _wide(g, y)
        shares = g.op("Sigmoid", shares) if link == "logit" else g.op("Clip", shares, np.float64(0), np.float64(1))
        there = g.op("Not", g.op("Less", shares, np.float64(0.5)))
        shape = (BATCH, target.units)
        return [Answer(there, LABEL, "bool", shape), Answer(shares, PROBABILITIES, "float64", shape)]
    if isinstance(target, Masks):
        label = g.op("Gather", np.array(target.values, np.uint8), g.op("ArgMax", y, axis=-1, keepdims=0))
        return [Answer(label, LABEL, "uint8", (BATCH, *rest[:-1]))]
    if isinstance(target, Quantities):
        values = _wide(g, y if len(rest) else g.reshape(y, 0, 1))
        values = _undone(g, target.scaling, g.op("Exp", values) if link == "log" else values)
        if LEVEL in columns:
            times = target.units // columns[LEVEL].shape[1]
            level, spread = (g.op("Tile", _wide(g, columns[name]), np.array([1, times])) for name in (LEVEL, SPREAD))
            values = g.op("Add", g.op("Mul", values, spread), level)
        return [Answer(values, VALUES, "float64", (BATCH, target.units))]
    return [Answer(g.plain(y), OUTPUT, "float32", (BATCH, *rest))]


def wanted_answers(target: Target | None, decoded: Decoded | None, output: np.ndarray) -> dict[str, np.ndarray]:
    """Return the expected outputs of the file, given what a model decoded, or its output."""
    if decoded is None or not isinstance(target, (Labels, MultiLabels, Masks, Quantities)):
        return {OUTPUT: output}
    if isinstance(target, MultiLabels):
        assert decoded.probabilities is not None
        return {LABEL: decoded.probabilities >= 0.5, PROBABILITIES: decoded.probabilities}
    named = {LABEL: decoded.labels, PROBABILITIES: decoded.probabilities, VALUES: decoded.values}
    return {name: array for name, array in named.items() if array is not None}


def _probabilities(g: Graph, binary: bool, y: Value, link: Link) -> str:
    """Return the probability of each class [rows, classes]."""
    wide = _wide(g, y)
    if not binary:
        return g.op("Softmax", wide, axis=1) if link == "logit" else wide
    positive = g.reshape(wide, 0, 1)
    positive = g.op("Sigmoid", positive) if link == "logit" else positive
    return g.op("Concat", g.op("Sub", np.float64(1), positive), positive, axis=1)


def _labels(classes: tuple[bool | int | str, ...]) -> tuple[str, np.ndarray]:
    """Return the classes as a tensor, and its dtype; integers beyond 64 bits become texts."""
    if isinstance(classes[0], bool):
        return "bool", np.array(classes)
    if isinstance(classes[0], int) and all(-(2**63) <= int(each) < 2**63 for each in classes):
        return "int64", np.array(classes, np.int64)
    return "str", np.array([str(each) for each in classes], object)


def _undone(g: Graph, scaling: Scaling, y: str) -> str:
    x = g.op("Add", g.op("Mul", y, np.array(scaling.scale)), np.array(scaling.offset))
    if scaling.is_affine:
        return x
    return g.op("Where", np.array(scaling.floor) > 0, g.op("Exp", x), x)


def _wide(g: Graph, x: Any) -> str:
    return g.op("Cast", x, to=TYPES["float64"])
