"""The form for predictions, which depends on the model: cells of named columns, or a picture to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import UsageError
from retrograd.data.tables.columns import CategoryColumn, NumberColumn
from retrograd.data.tables.inputs import ArrayInputs, TableInputs
from retrograd.training.use.predict import Model

MOST_COLUMNS = 60  # of a form; more are better pasted or uploaded as a file
PICTURES = {64: (8, 8), 784: (28, 28)}  # lengths of flat rows that are pictures
LEAST_SIDE, MOST_SIDE = 4, 64  # of a picture that can be drawn by hand


def form_of(model: Model) -> dict[str, Any]:
    """Return the fields of a form.

    kind: `table` with columns, `picture` with its size and the value of ink, or `file` if only a file is possible.
    """
    inputs = model.preprocessing.inputs
    plain: dict[str, Any] = {"task": model.facts.get("task"), "classes": [str(name) for name in model.classes or ()]}
    if isinstance(inputs, TableInputs):
        side = PICTURES.get(len(inputs.columns))
        numbers = [column for column in inputs.columns if isinstance(column, NumberColumn)]
        if side is not None and len(numbers) == len(inputs.columns):
            return {**plain, "kind": "picture", "shape": side, "names": list(inputs.features), "ink": ink(numbers)}
        if len(inputs.columns) <= MOST_COLUMNS:
            return {**plain, "kind": "table", "columns": [field(column) for column in inputs.columns]}
    if isinstance(inputs, ArrayInputs):
        height, width = (*inputs.shape, 1, 1)[:2] if len(inputs.shape) > 1 else PICTURES.get(inputs.shape[0], (0, 0))
        flat = int(np.prod(inputs.shape)) == height * width
        if flat and min(height, width) >= LEAST_SIDE and max(height, width) <= MOST_SIDE:
            return {**plain, "kind": "picture", "shape": (height, width), "names": None, "ink": 1.0}
        if len(inputs.shape) == 1 and inputs.shape[0] <= MOST_COLUMNS:
            columns = [{"name": name, "kind": "number", "value": 0.0} for name in inputs.features]
            return {**plain, "kind": "table", "columns": columns}
    return {**plain, "kind": "file"}


def field(column: Any) -> dict[str, Any]:
    """Return a field: its name, its kind, the initial value, and the words to choose from."""
    plain: dict[str, Any] = {"name": column.name, "kind": column.kind, "value": getattr(column, "fill", None)}
    if isinstance(column, CategoryColumn):
        plain |= {"words": list(column.words), "value": column.words[0]}
    return plain


def ink(columns: Sequence[NumberColumn]) -> float:
    """Return roughly the darkest value of a picture's cells: four standard deviations above the training mean."""
    tops = [column.scaling.offset[0] + 4 * column.scaling.scale[0] for column in columns]
    return float(np.clip(np.median(tops), 1.0, 255.0))


def rows_from(model: Model, rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows, given as cells by column, in the form that the model reads.

    Raises:  UsageError if there are no rows
    """
    if not rows:
        raise UsageError("no rows", cure="fill in the form, or paste some")
    inputs = model.preprocessing.inputs
    if isinstance(inputs, ArrayInputs):
        values = [row["x"] if "x" in row else [row[name] for name in inputs.features] for row in rows]
        return np.asarray(values, np.float32).reshape(len(rows), *inputs.shape)
    if rows and "x" in rows[0] and isinstance(inputs, TableInputs) and isinstance(rows[0]["x"], list):
        return np.asarray([row["x"] for row in rows], np.float64).reshape(len(rows), -1)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = {name: [None if row.get(name) in (None, "") else str(row[name]) for row in rows] for name in names}
    return pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String))
