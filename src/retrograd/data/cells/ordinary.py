"""Columns of ordinary numbers: all are recognised and read together, so that wide tables cost no more a cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl

from retrograd.data.table import Table

# No notation but decimal points; whole numbers so short that they are no dates or codes, and without leading zeros
ORDINARY = r"^[+-]?(0|[1-9]\d{0,4}|\d{1,15}\.\d*([eE][+-]?\d{1,2})?)$"
GROUPED = r"^[+-]?\d{1,3}\.\d{3}$"  # a point that may stand between thousands


def with_ordinary_numbers(table: Table, names: Iterable[str]) -> Table:
    """Return the table with numbers in place of the text of those named columns whose cells are ordinary numbers.

    A column in which every point may stand between thousands stays as it is.
    """
    schema = table.frame.schema
    texts = [name for name in names if schema.get(name) == pl.String]
    if not texts:
        return table
    cells = pl.col(texts).str
    fits = table.frame.select(cells.contains(ORDINARY).all()).row(0)
    points = table.frame.select(cells.contains(".", literal=True).any()).row(0)
    decided = table.frame.select((cells.contains(".", literal=True) & ~cells.contains(GROUPED)).any()).row(0)
    found = [
        name
        for name, is_ordinary, has_points, is_clear in zip(texts, fits, points, decided, strict=True)
        if is_ordinary and (is_clear or not has_points)
    ]
    return replace(table, frame=table.frame.with_columns(pl.col(found).cast(pl.Float64))) if found else table
