"""Collecting text rows into a polars table without holding them all as Python lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import DataError, Problem
from retrograd.data.table import SHOWN, Table, checked, listed

CHUNK_CELLS = 500_000  # held as Python strings at a time; they take ten times the memory of polars' columns


class RowCollector:
    """Takes rows of text one by one; a row of another width than the header is remembered as a fault."""

    def __init__(self, path: Path, names: Sequence[str], decimal: str = ".") -> None:
        self._path = path
        self._names = list(names)
        self._decimal = decimal
        self._rows: list[Sequence[str | None]] = []
        self._lines: list[int] = []
        self._frames: list[pl.DataFrame] = []
        self._faults: list[Problem] = []
        self._fault_count = 0

    def add(self, line: int, cells: Sequence[str | None]) -> None:
        """Take the row that begins at `line`."""
        if len(cells) != len(self._names):
            self._refuse(line, len(cells))
        elif not self._fault_count:
            self._rows.append(cells)
            self._lines.append(line)
            if len(self._rows) * len(self._names) >= CHUNK_CELLS:
                self._flush()

    def table(self) -> Table:
        """Return all rows as a Table of text columns, or raise DataError for the rows that did not fit."""
        if self._fault_count:
            cure = "quote a cell that holds the separator, or name another with `separator:`"
            raise DataError(listed(self._faults, self._fault_count, "such lines", cure, str(self._path)))
        self._flush()
        frame = pl.concat(self._frames, rechunk=True)
        if self._decimal == ",":
            frame = frame.with_columns(pl.all().str.replace(r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$", "$1.$2"))
        return checked(Table(frame, str(self._path), np.array(self._lines, np.int64)))

    def _refuse(self, line: int, count: int) -> None:
        self._fault_count += 1
        if len(self._faults) < SHOWN:
            message = f"line {line} has {count} cells, the header has {len(self._names)}"
            self._faults.append(Problem(f"{self._path}:{line}", message))

    def _flush(self) -> None:
        schema = dict.fromkeys(self._names, pl.String)
        self._frames.append(pl.DataFrame(self._rows, schema=schema, orient="row"))
        self._rows = []
