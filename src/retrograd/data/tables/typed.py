"""A table with parsed feature columns: cells are parsed once, and their values accompany the rows."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.scanned import LINE, ScannedTable
from retrograd.data.table import CellFaults, Origin, Table

NO_GAPS_CURE = sentence(
    "set {} or {} to fill them, or {} to skip their rows",
    data_setting("missing", "mean"),
    data_setting("missing", "median"),
    data_setting("missing", "drop"),
)


@dataclass(frozen=True)
class TypedTable(Table):
    """A table with its `values`: the parsed feature columns, null for missing values.

    `unreadable` marks, by column, the cells that have content but could not be read; it omits columns without any.
    """

    values: pl.DataFrame | ScannedTable = field(default_factory=pl.DataFrame)
    unreadable: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> Self:
        """Return the rows at these indices, in this order."""
        unreadable = {name: cells[rows] for name, cells in self.unreadable.items()}
        values = self.values[rows] if isinstance(self.values, pl.DataFrame) else self.values.take(rows)
        taken = super().take(rows)
        assert isinstance(taken, type(self))
        return replace(taken, values=values, unreadable=unreadable)


@dataclass(frozen=True)
class ScannedTypedTable(TypedTable, ScannedTable):
    """A TypedTable with cells and values in files."""

    def block(self, others: Iterable[str], start: int, stop: int) -> TypedTable:
        """Return a range of rows in memory: the values of the features, and some other columns."""
        assert isinstance(self.values, ScannedTable)
        values = self.values.rows(self.values.names, start, stop)
        others = [name for name in dict.fromkeys(others) if name not in values.columns]
        frame = self.rows(others, start, stop).hstack(values) if others else values
        unreadable = {name: cells[start:stop] for name, cells in self.unreadable.items()}
        numbers = np.arange(start, stop) if self.chosen is None else self.chosen[start:stop]
        lines = self.rows([LINE], start, stop)[LINE].to_numpy() if LINE in self.scans else None
        origin = self.origin
        if origin is not None:
            origin = Origin(origin.files, np.searchsorted(origin.file_of, numbers, side="right") - 1)
        return TypedTable(frame, self.where, lines, self.missing_words, origin=origin, numbers=numbers + 1,
                          values=values, unreadable=unreadable)  # fmt: skip


def typed(table: Table, kinds: Mapping[str, ColumnKind], invalid: str, missing: str) -> TypedTable:
    """Return a table with parsed values of the columns in `kinds`; a table that has values already is returned as is.

    Raises:  DataError for cells of another kind with `invalid: error`, and for missing cells with `missing: error`
    """
    if isinstance(table, TypedTable):
        return table
    faults, gaps = CellFaults(table), CellFaults(table)
    unreadable: dict[str, np.ndarray] = {}

    def parsed() -> Iterator[pl.Series]:
        for name, kind in kinds.items():
            values, bad = kind.parse(table.column(name))
            if bad.any():
                unreadable[name] = bad.to_numpy()
                if invalid == "error":
                    faults.add(name, bad.arg_true(), kind.expected)
            if missing == "error":
                gaps.add(name, values.is_null().arg_true(), "a value")
            yield values.alias(name)

    values = table.columns_of(parsed())
    faults.raise_any(
        sentence(
            "set {} to treat such cells as missing (with {}, their rows are skipped), or {} to keep them as words",
            data_setting("invalid", "missing"),
            data_setting("missing", "drop"),
            data_setting("kinds", f"{{{', '.join(f'{name}: category' for name in [*unreadable][:3])}}}"),
        )
    )
    gaps.raise_any(NO_GAPS_CURE)
    kind = ScannedTypedTable if isinstance(table, ScannedTable) else TypedTable
    return kind(**vars(replace(table)), values=values, unreadable=unreadable)


def complete_rows(table: TypedTable) -> TypedTable:
    """Return the complete rows.

    Raises:  DataError if there are none
    """
    filled = (table.values[name].is_not_null().to_numpy() for name in table.values.columns)
    is_complete = functools.reduce(np.logical_and, filled)  # column by column
    if not is_complete.any():
        raise DataError(
            "no complete rows: every row lacks a value",
            where=table.where,
            cure="choose " + data_setting("missing", "mean"),
        )
    return table if is_complete.all() else table.take(np.flatnonzero(is_complete))
