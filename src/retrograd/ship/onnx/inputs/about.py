"""What a file says of a table's columns in its metadata."""

from __future__ import annotations

from typing import Any

from retrograd.data.tables.columns import CategoryColumn, DateColumn, NumberColumn
from retrograd.data.tables.text_column import TextColumn


def about(column: Any) -> dict[str, Any] | str:
    """Return what a column is as JSON says it; of numbers, of which there may be many, the name alone."""
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
