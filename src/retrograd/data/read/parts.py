"""One table in several files: those in a folder, or those that match a pattern such as `parts/*.csv`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.read.compression import SUFFIXES as PACKED
from retrograd.data.read.files import too_large
from retrograd.data.read.reader import read_content, table_suffixes
from retrograd.data.read.text import SUFFIXES as TEXT_SUFFIXES
from retrograd.data.scanned import ScannedTable, joined_scans
from retrograd.data.settings import DataSettings
from retrograd.data.table import Origin, Table
from retrograd.present.wording import listing, some_of


def tables_below(folder: Path) -> list[Path]:
    """Return the parts of a table in a folder: files of one kind, with nothing beside them but documentation."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith((".", "_")))
    others = [file for file in files if not file.name.lower().endswith((*TEXT_SUFFIXES, ".json", ".pdf"))]
    tables = others or [file for file in files if file.suffix.lower() == ".json"]
    kinds = {"".join(file.suffixes[-2:]) if file.suffix.lower() in PACKED else file.suffix.lower() for file in tables}
    return tables if len(kinds) == 1 and tables[0].name.lower().endswith(table_suffixes()) else []


def read_tables(paths: list[Path], settings: DataSettings, where: str) -> Table:
    """Return the table that several files form together.

    Raises:  DataError if the files are too large together, or if one contains no table
    """
    total = sum(path.stat().st_size for path in paths)
    if total > settings.max_bytes:
        raise too_large(where, f"{len(paths)} files of {total:,} bytes", settings.max_bytes)
    tables = []
    for path in paths:
        content = read_content(path, settings)
        if not isinstance(content, Table):
            cure = "remove it from the folder or exclude it from the pattern"
            raise DataError("the file is not a table, so it cannot be part of one", where=str(path), cure=cure)
        tables.append(content)
    return joined_tables(tables, where)


def joined_tables(tables: list[Table], where: str) -> Table:
    """Return the rows of several tables, one after another; each keeps its file and line. Columns are in the order of
    the first file.

    Raises:  DataError when their columns differ
    """
    first = tables[0]
    if len(tables) == 1:
        return replace(first, notes=(f"read from {first.where}", *first.notes))
    for table in tables[1:]:
        lacking = [name for name in first.names if name not in table.names]
        more = [name for name in table.names if name not in first.names]
        if lacking or more:
            columns = " and ".join(
                [f"lacks {listing('column', lacking)}"] * bool(lacking)
                + [f"has {listing('column', more)}"] * bool(more)
            )
            cure = "give all parts of a table the same columns (the first line of each file names them)"
            raise DataError(f"{columns}, unlike {first.where}", where=table.where, cure=cure)
    files = tuple(table.where for table in tables)
    shown = some_of([Path(file).name for file in files], 4)
    rows = sum(map(len, tables))
    notes = (f"{rows} rows of {len(tables)} files: {shown}", *dict.fromkeys(n for table in tables for n in table.notes))
    scanned = [table for table in tables if isinstance(table, ScannedTable)]
    if len(scanned) == len(tables):
        return replace(joined_scans(scanned, where, files), notes=notes)
    try:
        frame = pl.concat([table.frame.select(first.names) for table in tables], how="vertical_relaxed")
    except pl.exceptions.PolarsError:
        frame = pl.concat([table.frame.select(pl.col(first.names).cast(pl.String)) for table in tables])
    lines = [table.lines for table in tables if table.lines is not None]
    return replace(
        first,
        frame=frame,
        where=where,
        lines=np.concatenate(lines) if len(lines) == len(tables) else None,
        notes=notes,
        origin=Origin(files, np.repeat(np.arange(len(tables)), [len(table) for table in tables])),
    )
