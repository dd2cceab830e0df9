"""One table in several files: a folder of them, or all that a pattern such as `parts/*.csv` matches."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.table import Origin, Table
from retrograd.present.wording import listing, some_of

MARKS = "*?["  # of a pattern


def is_pattern(path: Path) -> bool:
    """Return whether a path is no file but a pattern that files match."""
    return any(mark in str(path) for mark in MARKS) and not path.exists()


def matching(path: Path) -> list[Path]:
    """Return the files that a pattern matches, sorted by name.

    Raises:  DataError when there are none
    """
    found = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file())
    if not found:
        raise DataError("no file matches the pattern", where=str(path), cure="check the path")
    return found


def joined_tables(tables: list[Table], where: str) -> Table:
    """Return the rows of several tables, one after another; each knows its file and line. The columns' order is the
    first file's.

    Raises:  DataError when their columns differ
    """
    first = tables[0]
    if len(tables) == 1:
        return replace(first, notes=(f"read from {first.where}", *first.notes))
    for table in tables[1:]:
        lacking = [name for name in first.names if name not in table.names]
        more = [name for name in table.names if name not in first.names]
        if lacking or more:
            found = " and ".join(
                [f"lacks {listing('column', lacking)}"] * bool(lacking)
                + [f"has {listing('column', more)}"] * bool(more)
            )
            cure = "parts of one table have the same columns (the first line of each file names them)"
            raise DataError(f"{found}, unlike {first.where}", where=table.where, cure=cure)
    try:
        frame = pl.concat([table.frame.select(first.names) for table in tables], how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        frame = pl.concat([table.frame.select(pl.col(first.names).cast(pl.String)) for table in tables])
    lengths = [len(table) for table in tables]
    lines = [table.lines for table in tables if table.lines is not None]
    origin = Origin(tuple(table.where for table in tables), np.repeat(np.arange(len(tables)), lengths))
    names = some_of([Path(table.where).name for table in tables], 4)
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    return replace(
        first,
        frame=frame,
        where=where,
        lines=np.concatenate(lines) if len(lines) == len(tables) else None,
        notes=(f"{len(frame)} rows of {len(tables)} files: {names}", *notes),
        origin=origin,
    )
