"""The settings for rows written in the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated

from retrograd.base.annotations import Expect
from retrograd.base.errors import Problem
from retrograd.base.quantities import Number

Cell = bool | int | Number | str | None
InlineRows = Annotated[tuple[tuple[Cell, ...], ...], Expect("rows, each a list of cells, as in [[0, 1, 1], [1, 1, 0]]")]


def row_problems(rows: Sequence[Sequence[Cell]] | None, columns: Sequence[str], other: str | None) -> Iterator[Problem]:
    """Yield the problems of rows and their column names; `other` is a data set or file that is also configured."""
    if rows is None:
        if columns:
            yield Problem("columns", "names without rows", "set `rows`; files have their own names")
        return
    if other is not None:
        yield Problem("rows", f"set together with '{other}'", "keep one of them")
    width = len(columns) or (len(rows[0]) if rows else 0)
    if not rows or not width:
        yield Problem("rows", "no rows, or an empty row", "write rows such as rows: [[0, 1, 1], [1, 1, 0]]")
    model = "columns" if columns else "the first row"
    for i, row in enumerate(rows):
        if len(row) != width:
            message = f"expected {width} cells, as in {model}, found {len(row)}"
            yield Problem(f"rows.{i}", message, "give all rows the same number of cells")
    if len(set(columns)) < len(columns):
        yield Problem("columns", "names a column twice", "name each column once")
