"""Paths in a table: the column that contains them, and the files that they refer to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.values import words
from retrograd.data.table import Table


def path_column(table: Table, column: str | None, usual: tuple[str, ...], section: str) -> str:
    """Return the name of the column of paths: the configured one, else the first with a usual name."""
    if column is not None:
        table.column(column)
        return column
    names = [name for name in table.names if name.lower() in usual]
    if not names:
        cure = "name it with " + data_setting(f"{section}.column", "...")
        raise DataError(f"no column contains paths ({', '.join(usual)})", where=table.where, cure=cure)
    return names[0]


def paths_in(table: Table, column: str) -> tuple[Path, ...]:
    """Return the paths in a column, relative to the table's folder.

    Raises:  DataError for a row without one
    """
    cells = words(table.column(column)).values
    if cells.null_count():
        where, line = table.place(int(cells.is_null().arg_true()[0]))
        raise DataError(f"{line}, column '{column}': expected a path, found nothing", where=where)
    folder = Path(table.where).parent
    return tuple(folder / cell for cell in cells)


def shown_paths(paths: Iterable[Path], where: str) -> tuple[str, ...]:
    """Return paths as shown beside predictions: relative to the folder, or to that of the table that lists them."""
    folder = Path(where) if Path(where).is_dir() else Path(where).parent
    return tuple(str(p.relative_to(folder)) if p.is_relative_to(folder) else str(p) for p in paths)
