"""The network as a drawing: every unit and link of a small one, a box for each node of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.network.layers import Dense
from retrograd.present.exact import Figures
from retrograd.tracing.lines import entry, summary
from retrograd.tracing.numbers import NodeNumbers, ObjectiveNumbers, StepNumbers, parts

MOST_UNITS = 10  # in one column
MOST_LINKS = 120
MOST_ROWS = 16
LABELLED = 12  # links between two columns whose numbers are always shown
ACROSS, MARGIN, ABOVE, BELOW = 290, 92, 112, 76
DOWN, DOWN_CLOSE, FEW = 190, 120, 4  # for columns with more than a few units
LABEL = (140, 36)  # maximum width and height of a label
ALONG = (0.45, 0.36, 0.52, 0.58, 0.3, 0.64, 0.7)  # positions along a link for its label


Point = tuple[float, float]


@dataclass(frozen=True)
class Column:
    """A column of units: inputs, or a dense node with the functions that act on its elements."""

    title: str
    nodes: tuple[NodeNumbers, ...]  # a dense node and the functions of its output; none for the inputs
    values: np.ndarray  # [rows, units]: what the next column reads


def graph(step: StepNumbers, f: Figures) -> dict[str, Any]:
    """Return the drawing of a step's network."""
    columns = _columns(step)
    return boxes(step, f) if columns is None else _units(step, columns, f)


# ------------------------------------------------------------------------------------------------------------ units


def _columns(step: StepNumbers) -> list[Column] | None:
    """Return the columns of a plain chain of dense layers; None for any other network."""
    first = step.nodes[0].node.inputs[0]
    if first not in step.columns or step.columns[first].ndim != 2 or step.batch > MOST_ROWS:
        return None
    columns = [Column(first, (), step.columns[first])]
    before, stack, links = first, [], 0
    for i, node in enumerate(step.nodes):
        if node.node.inputs != (before,) or not isinstance(node.output, np.ndarray):
            return None
        if isinstance(node.layer, Dense):
            stack = [node]
            links += node.params["weight"].size
        elif stack and (node.slope is not None or node.output.shape == stack[0].output.shape) and not node.params:
            stack.append(node)
        else:
            return None
        before = node.path
        if i + 1 == len(step.nodes) or isinstance(step.nodes[i + 1].layer, Dense):
            columns.append(Column(stack[0].path, tuple(stack), node.output))
    fits = all(column.values.ndim == 2 and column.values.shape[1] <= MOST_UNITS for column in columns)
    return columns if fits and links <= MOST_LINKS else None


def _units(step: StepNumbers, columns: Sequence[Column], f: Figures) -> dict[str, Any]:
    tallest = max(column.values.shape[1] for column in columns)
    is_close = tallest > FEW
    down = DOWN_CLOSE if is_close else DOWN
    height = ABOVE + down * (tallest - 1) + BELOW
    middle = ABOVE + down * (tallest - 1) / 2
    places = [
        [(MARGIN + ACROSS * k, middle + down * (j - (column.values.shape[1] - 1) / 2))
         for j in range(column.values.shape[1])] for k, column in enumerate(columns)
    ]  # fmt: skip
    units, links = [], []
    for k, column in enumerate(columns):
        for j, (x, y) in enumerate(places[k]):
            units.append({"x": x, "y": y, **_unit(column, j, f)})
        if k:
            before = places[k - 1]
            weight = column.nodes[0].params["weight"]
            labels: list[Point] = []
            for i, j in np.ndindex(*weight.shape):
                links.append(_link(column.nodes[0], (i, j), before[i], places[k][j], labels, weight.size))
    return {
        "kind": "units",
        "tallest": tallest,
        "close": is_close,
        "width": MARGIN * 2 + ACROSS * len(columns) - 90,
        "height": height,
        "rows": step.batch,
        "units": units,
        "links": links,
        "loss": _loss(step, MARGIN + ACROSS * len(columns) - 90, middle, places[-1], f),
    }


def _unit(column: Column, j: int, f: Figures) -> dict[str, Any]:
    shown = [
        {"node": node.path, "output": [f.number(row[j]) for row in node.output],
         "delta": None if node.delta is None else [f.number(row[j]) for row in node.delta]} for node in column.nodes
    ]  # fmt: skip
    names = [node.layer.kind for node in column.nodes[1:]]
    dense = column.nodes[0] if column.nodes else None
    return {
        "name": f"{column.title}[{j}]",
        "inside": names[0] if names else ("Σ" if dense else f"{column.title}[{j}]"),
        "stages": shown,
        "value": [f.number(row[j]) for row in column.values],
        "bias": entry(_owner(dense, "bias"), (j,)) if dense is not None and "bias" in dense.params else None,
    }


def _owner(node: NodeNumbers, name: str) -> str:
    return dict(node.node.share).get(name, f"{node.path}/{name}")


def _link(
    node: NodeNumbers,
    index: tuple[int, ...],
    start: Point,
    end: Point,
    labels: list[Point],
    many: int,
) -> dict[str, Any]:
    at = free_place(start, end, labels)
    labels.append(at)
    return {
        "from": start,
        "to": end,
        "at": at,
        "weight": entry(_owner(node, "weight"), index),
        "labelled": many <= LABELLED,
    }


def free_place(start: Point, end: Point, labels: Sequence[Point]) -> Point:
    """Return a position on a link where its label covers no other, or the one with most room around it."""

    def room(at: Point) -> float:
        return min((max(abs(at[0] - x) / LABEL[0], abs(at[1] - y) / LABEL[1]) for x, y in labels), default=2.0)

    places = [(start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part) for part in ALONG]
    return next((at for at in places if room(at) >= 1), max(places, key=room))


def _loss(step: StepNumbers, x: float, y: float, ends: Sequence[tuple[float, float]], f: Figures) -> dict[str, Any]:
    return {"x": x, "y": y, "from": list(ends), "value": f.number(step.loss), "after": f.number(step.loss_after)}


# ------------------------------------------------------------------------------------------------------------ boxes


def boxes(step: StepNumbers, f: Figures) -> dict[str, Any]:
    """Return a box for each column, node and loss; a column that only a loss reads is just above the losses."""
    read = {reference.partition(".")[0] for node in step.nodes for reference in node.node.inputs}
    columns = sorted(step.columns, key=lambda name: name not in read)
    early = [name for name in columns if name in read]
    made = [*(_column_box(step, name) for name in early), *(_box(node, f) for node in step.nodes)]
    made += [_column_box(step, name) for name in columns if name not in read]
    made += [_loss_box(objective, f) for objective in step.objectives]
    place = {box["name"]: i for i, box in enumerate(made)}
    ends = [(node.path, node.node.inputs) for node in step.nodes]
    ends += [(objective.name, objective.references) for objective in step.objectives]
    links = [[place[reference.partition(".")[0]], place[name]] for name, references in ends for reference in references
             if reference.partition(".")[0] in place]  # fmt: skip
    return {"kind": "boxes", "boxes": made, "links": links, "after": f.number(step.loss_after)}


def _column_box(step: StepNumbers, name: str) -> dict[str, Any]:
    about = f"rows of the data, {list(step.columns[name].shape)}"
    return {"kind": "data", "name": name, "about": about, "output": "", "delta": "", "node": ""}


def _loss_box(objective: ObjectiveNumbers, f: Figures) -> dict[str, Any]:
    return {"kind": "loss", "name": objective.name, "about": objective.loss.kind, "output": f.number(objective.value),
            "delta": "", "node": ""}  # fmt: skip


def _box(node: NodeNumbers, f: Figures) -> dict[str, Any]:
    outputs = [array for _, array in parts(node.path, node.output)]
    deltas = [array for _, array in parts(node.path, node.delta)]
    return {
        "kind": "node",
        "name": node.path,
        "node": node.path,
        "about": f"{node.layer.kind}, {', '.join(str(list(array.shape)) for array in outputs)}",
        "output": f"rms {f.number(summary(outputs[0]).rms)}",
        "delta": f"rms {f.number(summary(deltas[0]).rms)}" if deltas else "no delta",
    }
