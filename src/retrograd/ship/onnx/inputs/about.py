"""The metadata of a file about the columns of a table."""

from __future__ import annotations

from typing import Any

from retrograd.data.tables.columns import CategoryColumn, DateColumn, NumberColumn
from retrograd.data.tables.text_column import TextColumn


def about(column: Any) -> dict[str, Any] | str:
    """Return the metadata of a column as plain JSON; only the name for numbers, as there may be many columns."""
    if isinstance(column, NumberColumn):
        return column.name
    said: dict[str, Any] = {"name": column.name, "kind": column.kind}
    if isinstance(column, CategoryColumn):
        said["words"] = list(column.words)
    if isinstance(column, DateColumn):
        said |= {"form": column.form, "unit": "days since 1970-01-01"}
    if isinstance(column, TextColumn):
        said |= {"input": column.tokens, "vocabulary": list(column.vocabulary.tokens), "unit": column.vocabulary.unit,
                 "lower": column.vocabulary.lower, "first_identifier": 4, "unknown": 1, "padding": 0}  # fmt: skip
    return said
