"""Collecting rows of text into a polars table without keeping them all as Python lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from retrograd.base.errors import DataError, Problem
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.scanned import columns_of_text, spill
from retrograd.data.table import SHOWN, Table, checked, listed

CHUNK_CELLS = 500_000  # kept as Python strings at once; they take ten times the memory of polars columns


class RowChunk(NamedTuple):
    """Some rows (of text, with None for missing cells), and the line at which each begins."""

    lines: np.ndarray
    rows: list[list[Any]]


class RowFrame(NamedTuple):
    """Some rows as a frame of text without missing cells, its columns in order, and the line at which each begins."""

    lines: np.ndarray
    frame: pl.DataFrame

    def listed(self) -> RowChunk:
        """Return the same rows as lists."""
        return RowChunk(self.lines, [list(row) for row in self.frame.iter_rows()])

    def part(self, start: int, stop: int) -> RowFrame:
        """Return some of the rows."""
        return RowFrame(self.lines[start:stop], self.frame[start:stop])


def chunk_rows(width: int) -> int:
    """Return the number of rows of this width in a chunk."""
    return max(1, CHUNK_CELLS // max(1, width))


def collect_rows(
    path: Path, names: Sequence[str], chunks: Iterable[RowChunk | RowFrame], invalid: str = "error"
) -> Table:
    """Return all rows as a Table of text columns; with `invalid="missing"`, rows of the wrong width become missing.

    Raises:  DataError naming the rows whose width differs from the header's
    """
    keeper = _Spilled(names) if spill() else _InMemory(names)
    faults: list[Problem] = []
    fault_count = 0
    for chunk in chunks:
        if isinstance(chunk, RowFrame):
            if chunk.frame.width == len(names):
                keeper.add(chunk.frame.rename(dict(zip(chunk.frame.columns, names, strict=True))), chunk.lines)
                continue
            chunk = chunk.listed()
        rows = chunk.rows
        ragged = [(line, len(row)) for line, row in zip(chunk.lines, rows, strict=True) if len(row) != len(names)]
        fault_count += len(ragged)
        if ragged and invalid != "missing":
            faults += [_fault(path, line, width, len(names)) for line, width in ragged[: SHOWN - len(faults)]]
            continue
        rows = [row if len(row) == len(names) else [None] * len(names) for row in rows] if ragged else rows
        keeper.add(pl.DataFrame(rows, schema=keeper.schema, orient="row"), chunk.lines)
    if faults:
        cure = sentence(
            "quote cells that contain the separator, set another {}, skip titles with {}, or treat such lines as "
            "missing ({})",
            data_setting("separator"),
            data_setting("skip_lines"),
            data_setting("invalid", "missing"),
        )
        raise DataError(listed(faults, fault_count, "such lines", cure, str(path)))
    what = "line has" if fault_count == 1 else "lines have"
    note = f"{fault_count} {what} more or fewer cells than the header; their values are treated as missing"
    notes = (note,) if fault_count else ()
    return checked(replace(keeper.table(str(path)), notes=notes))


class _InMemory:
    """Rows that become a table in memory."""

    def __init__(self, names: Sequence[str]) -> None:
        self.schema = dict.fromkeys(names, pl.String)
        self._frames, self._lines = [pl.DataFrame(schema=self.schema)], [np.empty(0, np.int64)]

    def add(self, frame: pl.DataFrame, lines: np.ndarray) -> None:
        """Add some rows."""
        self._frames.append(frame)
        self._lines.append(lines)

    def table(self, where: str) -> Table:
        """Return the table of all rows."""
        return Table(pl.concat(self._frames), where, np.concatenate(self._lines))


class _Spilled(_InMemory):
    """Rows that become a table in files."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        into = spill()
        assert into is not None
        self._spill, self._height = into, 0
        self._paths: list[Path] = []
        self._untouched = columns_of_text(names, into.settings)

    def add(self, frame: pl.DataFrame, lines: np.ndarray) -> None:
        """Write some rows."""
        if len(frame):
            self._paths.append(self._spill.add(frame, lines, self._untouched))
            self._height += len(frame)

    def table(self, where: str) -> Table:
        """Return the table of all rows."""
        return self._spill.table(self._paths, where, self._height) if self._paths else super().table(where)


def _fault(path: Path, line: int, width: int, expected: int) -> Problem:
    return Problem(f"{path}:{line}", f"line {line} has {width} cells, the header has {expected}")
