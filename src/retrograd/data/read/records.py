"""From records (lists of cells) to a table: the header, notes below the rows, empty columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.read.footer import Footer
from retrograd.data.read.header import column_names, unnamed
from retrograd.data.read.layout import Layout, record_layout
from retrograd.data.read.rows import RowChunk, RowFrame, collect_rows
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table


def table_of_records(
    path: Path, chunks: Iterator[RowChunk | RowFrame], layout: Layout, settings: DataSettings
) -> Table:
    """Return records as a Table of text, whose form is inferred from the first chunk.

    Raises:  DataError for a file without rows, a repeated name, or rows that are wider or narrower than the header
    """
    peek = next(chunks, None)
    if peek is None:
        raise DataError("the file is empty: it has neither a header nor rows", where=str(path))
    peek = peek.listed() if isinstance(peek, RowFrame) else peek
    first = peek.rows[0]
    where = f"{path}:{peek.lines[0]}"
    names = list(layout.names) or column_names(_widened(first, peek.rows, layout.header), layout.header, where)
    rest = RowChunk(peek.lines[layout.header :], peek.rows[layout.header :])
    footer = Footer(len(names), settings.skip_footer)
    rows = footer.rows(_trimmed(chain([rest], chunks), len(names)))
    table = collect_rows(path, names, rows, settings.invalid)
    return replace(_without_empty(table), notes=(*layout.notes, *footer.notes(), *table.notes))


def table_of_rows(path: Path, rows: list[list[str]], settings: DataSettings, notes: tuple[str, ...] = ()) -> Table:
    """Return the rows of a sheet (empty cells are empty strings) as a Table of text."""
    layout = record_layout(rows, settings)
    lines = np.arange(layout.skip_lines + 1, len(rows) + 1)
    chunks = iter([RowChunk(lines, rows[layout.skip_lines :])] if layout.skip_lines < len(rows) else [])
    table = table_of_records(path, chunks, layout, settings)
    return replace(table, lines=None, notes=(*notes, *table.notes))


def _widened(first: list[str], rows: list[list[str]], is_header: bool) -> list[str]:
    """Return the header, made as wide as the rows if all of them have one cell more: row names, as R writes them, or
    an empty last cell.
    """
    others = rows[1:]
    if not is_header or len(others) < 2 or any(len(row) != len(first) + 1 for row in others):
        return first
    if not any(row[-1].strip() for row in others):
        return [*first, ""]
    return ["row", *first] if len({row[0] for row in others}) == len(others) else first


def _trimmed(chunks: Iterator[RowChunk | RowFrame], width: int) -> Iterator[RowChunk | RowFrame]:
    """Yield the rows without the empty cell that a separator at the end of a line creates."""
    for chunk in chunks:
        if isinstance(chunk, RowFrame):
            is_wider = chunk.frame.width == width + 1 and bool((chunk.frame[:, -1].str.strip_chars() == "").all())
            yield chunk._replace(frame=chunk.frame[:, :-1]) if is_wider else chunk
            continue
        lines, rows = chunk
        if any(len(row) == width + 1 and not row[-1].strip() for row in rows):
            rows = [row[:-1] if len(row) == width + 1 and not row[-1].strip() else row for row in rows]
        yield RowChunk(lines, rows)


def _without_empty(table: Table) -> Table:
    """Return the table without columns that have neither a name nor a value, from separators at the ends of lines."""
    candidates = [name for i, name in enumerate(table.names) if name in (unnamed(i), f"column_{i + 1}")]
    if not candidates:
        return table
    filled = table.each(candidates, lambda column: (column.cast(pl.String).fill_null("").str.strip_chars() != "").any())
    empty = [name for name, is_filled in zip(candidates, filled, strict=True) if not is_filled]
    if not empty or len(empty) == len(table.names):
        return table
    return table.select([name for name in table.names if name not in empty])
