"""Running only the network in a file: from its columns to its output and to the values that become integers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from retrograd.ship.onnx.graph import BATCH, Graph, Value, model_of
from retrograd.ship.onnx.session import run, session
from retrograd.ship.quantization.nodes import Activations
from retrograd.ship.quantization.reading import reads, without_unread
from retrograd.ship.quantization.scales import Range

Columns = Mapping[str, np.ndarray]
Values = Mapping[str, Value]
End = tuple[str, str, list[Any]]  # of a model: name, dtype, shape
AT_ONCE = 64  # rows
OUTPUT = "output of the network"


def outputs(graph: Graph, columns: Values, main: Value, rows: Columns) -> np.ndarray:
    """Return the main output of a graph for rows of its columns."""
    inner = graph.copy()
    inner.result(main, OUTPUT)
    running = session(_part(inner, columns, [(OUTPUT, main.dtype, [BATCH, *main.shape[1:]])]))
    return np.concatenate([run(running, fed)[OUTPUT] for fed in _portions(columns, rows)])


def ranges(graph: Graph, columns: Values, layers: Collection[str], rows: Columns) -> dict[str, Range]:
    """Return the range over rows of each value that becomes integers in these layers."""
    inner, names = graph.copy(), sorted(Activations(graph, layers).names)
    if not names:
        return {}
    inner.path = "range"
    ends: list[End] = [
        (inner.op(kind, name, keepdims=0), "float32", []) for name in names for kind in ("ReduceMin", "ReduceMax")
    ]
    running, seen = session(_part(inner, columns, ends)), dict.fromkeys(names, Range())
    for fed in _portions(columns, rows):
        numbers = [float(number) for number in run(running, fed).values()]
        for i, name in enumerate(names):
            seen[name] = seen[name].wider(*numbers[2 * i : 2 * i + 2])
    return seen


def _part(graph: Graph, columns: Values, ends: list[End]) -> Any:
    """Return the nodes from the columns to the ends (name, dtype, shape) as a model."""
    made = {value.name for value in columns.values()}
    needed, nodes = {name for name, _, _ in ends}, []
    for node in reversed(graph.nodes):
        if needed & ({*node.output} - made):
            nodes.append(node)
            needed |= {*reads(node)}
    inner = graph.copy()
    inner.nodes = nodes[::-1]
    entrances = [(value.name, value.dtype, [BATCH, *value.shape[1:]]) for value in columns.values()]
    return model_of(without_unread(inner), entrances, ends)


def _portions(columns: Values, rows: Columns) -> Iterator[dict[str, np.ndarray]]:
    """Yield portions of rows, under the columns' names in the graph."""
    for first in range(0, len(rows[next(iter(columns))]), AT_ONCE):
        yield {value.name: np.asarray(rows[name][first : first + AT_ONCE]).astype(value.dtype)
               for name, value in columns.items()}  # fmt: skip
