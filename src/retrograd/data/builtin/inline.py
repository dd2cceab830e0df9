"""Rows written in the configuration, for exercises and for trying a network on a few numbers."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from retrograd.data.builtin.builtin import TARGET
from retrograd.data.builtin.settings import Cell
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table

WHERE = "data.rows"


def inline_table(settings: DataSettings) -> tuple[Table, DataSettings]:
    """Return the rows as a table, and suitable settings: no scaling, and all rows for training.

    Columns without names are x1, x2 and so on, and the target y in the last column.
    """
    rows, names = settings.rows or (), inline_names(settings)
    frame = pl.DataFrame({name: _column([row[i] for row in rows]) for i, name in enumerate(names)})
    split = replace(settings.split, method="none") if settings.split.method == "auto" else settings.split
    has_target = settings.target or settings.task == "unsupervised"
    return Table(frame, WHERE), replace(
        settings,
        scale=settings.scale or "none",
        scale_target=settings.scale_target or "none",
        split=split,
        target=settings.target if has_target else names[-1],
    )


def inline_names(settings: DataSettings) -> tuple[str, ...]:
    """Return the names of the columns."""
    width = len((settings.rows or ((),))[0])
    if settings.columns:
        return settings.columns
    inputs = width if settings.task == "unsupervised" else width - 1
    return (*(f"x{i + 1}" for i in range(inputs)), *([TARGET] if inputs < width else []))


def _column(cells: list[Cell]) -> pl.Series:
    """Return cells as numbers, or as text if one of them is text."""
    if any(isinstance(cell, str) for cell in cells):
        return pl.Series([None if cell is None else str(cell) for cell in cells], dtype=pl.String)
    if any(isinstance(cell, float) for cell in cells):
        return pl.Series([None if cell is None else float(cell) for cell in cells], dtype=pl.Float64)
    return pl.Series([None if cell is None else int(cell) for cell in cells], dtype=pl.Int64)
