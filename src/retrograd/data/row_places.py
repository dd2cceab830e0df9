"""Rows as the user knows them: their place in the data, their first cells, and their image."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from retrograd.data.arrays import Arrays
from retrograd.data.audio.rows import Sounds
from retrograd.data.builtin.generated import Rows
from retrograd.data.images.inputs import ImageInputs
from retrograd.data.images.rows import Images
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.scanned import ScannedTable
from retrograd.data.table import Table
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.texts.inputs import TextInputs
from retrograd.present.text import cut

MOST_BYTES = 64 * 1024**2  # maximum size of rows kept in memory during training, of which about ten are shown
COLUMNS = 6
CHARACTERS = 120
LEAST_SIDE = 8  # minimum side of columns that form an image: 16 or 25 columns are more likely measurements


@dataclass(frozen=True, eq=False)
class Seen:
    """The rows of one part. `columns` are the columns to show, `grid` those that are the pixels of a square image."""

    rows: Table | Arrays | Images | Sounds
    columns: tuple[str, ...] = ()
    grid: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Return the place of a row in the user's data: `line 17`, `row 3`, or the file of an image or sound."""
        if isinstance(self.rows, Images | Sounds) and self.rows.names is not None:
            return self.rows.names[row]
        if isinstance(self.rows, Arrays):
            return self.rows.place(row)[1]
        table = self.rows.table if isinstance(self.rows, Images | Sounds) else self.rows
        return f"row {row + 1}" if table is None else table.place(row)[1]

    def cells(self, row: int) -> dict[str, str]:
        """Return the first cells of a row by column; empty for an image."""
        if isinstance(self.rows, Table) and not self.grid:
            cells = {name: self.rows.some_cells(name, row, row + 1)[0] for name in self.columns}
            return {name: "" if cell is None else _short(cell) for name, cell in cells.items()}
        if isinstance(self.rows, Arrays) and self.rows.inputs["x"].ndim == 2 and self.picture(row) is None:
            return {f"x{i + 1}": _short(cell) for i, cell in enumerate(self.rows.inputs["x"][row][:COLUMNS].tolist())}
        return {}

    def picture(self, row: int) -> np.ndarray | None:
        """Return a row as grey [height, width] or colour [height, width, 3] values if it is an image."""
        if isinstance(self.rows, Table) and self.grid:
            return _square(np.array([self.rows.column(name)[row] for name in self.grid], object))
        if isinstance(self.rows, Arrays):
            x = self.rows.inputs["x"][row]
            if x.ndim == 1 and _side(len(x)) >= LEAST_SIDE and x.min() >= 0 and x.max() <= 255:
                return _square(x)
            if x.ndim == 2 or (x.ndim == 3 and x.shape[-1] in (1, 3)):
                return np.asarray(x[..., 0] if x.ndim == 3 and x.shape[-1] == 1 else x)
        return None


def seen_rows(rows: Rows, preprocessing: Preprocessing, count: int) -> Seen | None:
    """Return what is needed to show a part's rows, of which `count` were measured; None if they cannot be shown."""
    inputs = preprocessing.inputs
    if isinstance(rows, Arrays):
        fits = len(rows) == count and rows.inputs["x"].nbytes <= MOST_BYTES
        return Seen(replace(rows, inputs={"x": rows.inputs["x"]})) if fits else None
    if isinstance(rows, Sounds):
        return Seen(rows) if len(rows) == count else None
    if isinstance(rows, Images):
        return Seen(rows) if len(rows) == count and isinstance(inputs, ImageInputs) else None
    if not isinstance(rows, Table) or len(rows) != count or not isinstance(inputs, (TableInputs, TextInputs)):
        return None
    names = (inputs.column,) if isinstance(inputs, TextInputs) else tuple(column.name for column in inputs.columns)
    is_small = not isinstance(rows, ScannedTable) and rows.frame.estimated_size() <= MOST_BYTES
    grid = _grid(rows, names) if is_small else ()
    return Seen(rows.select(grid or names[:COLUMNS]), names[:COLUMNS], grid)


def _grid(table: Table, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns if they are the pixels of a square, with names that differ only in numbers."""
    is_square = _side(len(names)) >= LEAST_SIDE
    if not is_square or len({re.sub(r"\d+", "#", name) for name in names}) > 1:
        return ()
    schema = table.frame.schema
    return names if all(schema[name].is_numeric() for name in names) else ()


def _side(count: int) -> int:
    """Return the side of a square with this many cells; 0 if there is none."""
    side = round(count**0.5)
    return side if side * side == count else 0


def _square(values: np.ndarray) -> np.ndarray:
    side = _side(len(values))
    return np.array([np.nan if value is None else value for value in values], np.float64).reshape(side, side)


def _short(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.6g}"
    if isinstance(cell, pl.Series):
        cell = cell.to_list()
    return cut(str(cell), CHARACTERS)
