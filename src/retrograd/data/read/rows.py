"""Collecting rows of text into a polars table without holding them all as Python lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from retrograd.base.errors import DataError, Problem
from retrograd.data.table import SHOWN, Table, checked, listed

CHUNK_CELLS = 500_000  # held as Python strings at a time; they take ten times the memory of polars' columns


class RowChunk(NamedTuple):
    """Some rows (of text, with None for what is missing), and the line at which each begins."""

    lines: np.ndarray
    rows: list[list[Any]]


class RowFrame(NamedTuple):
    """Some rows as a frame of text without gaps, its columns in order, and the line at which each begins."""

    lines: np.ndarray
    frame: pl.DataFrame

    def listed(self) -> RowChunk:
        """Return the same rows as lists."""
        return RowChunk(self.lines, [list(row) for row in self.frame.iter_rows()])

    def part(self, start: int, stop: int) -> RowFrame:
        """Return some of the rows."""
        return RowFrame(self.lines[start:stop], self.frame[start:stop])


def chunk_rows(width: int) -> int:
    """Return how many rows of this width make a chunk."""
    return max(1, CHUNK_CELLS // max(1, width))


def collect_rows(
    path: Path, names: Sequence[str], chunks: Iterable[RowChunk | RowFrame], invalid: str = "error"
) -> Table:
    """Return all rows as a Table of text columns; with `invalid="missing"` rows of another width lack every cell.

    Raises:  DataError naming the rows that have another width than the header; for a file without rows
    """
    schema = dict.fromkeys(names, pl.String)
    frames, lines = [pl.DataFrame(schema=schema)], [np.empty(0, np.int64)]
    faults: list[Problem] = []
    fault_count = 0
    for chunk in chunks:
        if isinstance(chunk, RowFrame):
            if chunk.frame.width == len(names):
                frames.append(chunk.frame.rename(dict(zip(chunk.frame.columns, names, strict=True))))
                lines.append(chunk.lines)
                continue
            chunk = chunk.listed()
        if set(map(len, chunk.rows)) <= {len(names)}:
            frames.append(pl.DataFrame(chunk.rows, schema=schema, orient="row"))
            lines.append(chunk.lines)
            continue
        ragged = [(line, len(row)) for line, row in zip(chunk.lines, chunk.rows, strict=True) if len(row) != len(names)]
        fault_count += len(ragged)
        if invalid == "missing":
            rows = [row if len(row) == len(names) else [None] * len(names) for row in chunk.rows]
            frames.append(pl.DataFrame(rows, schema=schema, orient="row"))
            lines.append(chunk.lines)
            continue
        faults += [_fault(path, line, width, len(names)) for line, width in ragged[: SHOWN - len(faults)]]
    if faults:
        cure = (
            "quote a cell that holds the separator, name another with `separator:`, skip titles with `skip_lines:`, "
            "or take such lines as missing (`invalid: missing`)"
        )
        raise DataError(listed(faults, fault_count, "such lines", cure, str(path)))
    what = "line has" if fault_count == 1 else "lines have"
    notes = (f"{fault_count} {what} more or fewer cells than the header, and count as missing",) if fault_count else ()
    return checked(Table(pl.concat(frames), str(path), np.concatenate(lines), notes=notes))


def _fault(path: Path, line: int, width: int, expected: int) -> Problem:
    return Problem(f"{path}:{line}", f"line {line} has {width} cells, the header has {expected}")
