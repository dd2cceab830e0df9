"""A table whose feature columns have been read: cells are parsed once, and their values go along with the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.table import CellFaults, Table

BAD_CELL_CURE = (
    "`invalid: missing` takes such cells as missing (with `missing: drop` their rows are left out), "
    "`kinds: {{{columns}}}` keeps them as words"
)
NO_GAPS_CURE = "`missing: mean` or `missing: median` fills them, `missing: drop` leaves their rows out"


@dataclass(frozen=True)
class TypedTable(Table):
    """A table with its `values`: those of the feature columns as their kinds read them, null where there is none.

    `unreadable` marks by column the cells that were there but could not be read; columns without any are not in it.
    """

    values: pl.DataFrame = field(default_factory=pl.DataFrame)
    unreadable: Mapping[str, np.ndarray] = field(default_factory=dict)

    def take(self, rows: np.ndarray) -> TypedTable:
        """Return some rows (indices), in their order."""
        unreadable = {name: cells[rows] for name, cells in self.unreadable.items()}
        taken = super().take(rows)
        assert isinstance(taken, TypedTable)
        return replace(taken, values=self.values[rows], unreadable=unreadable)


def typed(table: Table, kinds: Mapping[str, ColumnKind], invalid: str, missing: str) -> TypedTable:
    """Return a table with the values of the columns that `kinds` names; one that has values already is returned as is.

    Raises:  DataError for cells of another kind with `invalid: error`, and for missing ones with `missing: error`
    """
    if isinstance(table, TypedTable):
        return table
    parsed = {name: kind.parse(table.column(name)) for name, kind in kinds.items()}
    bad = {name: column.bad for name, column in parsed.items() if column.bad.any()}
    faults = CellFaults(table)
    if invalid == "error":
        for name, cells in bad.items():
            faults.add(name, cells.arg_true(), kinds[name].expected)
        faults.raise_any(BAD_CELL_CURE.format(columns=", ".join(f"{name}: category" for name in [*bad][:3])))
    values = pl.DataFrame({name: column.values for name, column in parsed.items()})
    if missing == "error":
        for series in values.iter_columns():
            faults.add(series.name, series.is_null().arg_true(), "a value")
        faults.raise_any(NO_GAPS_CURE)
    unreadable = {name: cells.to_numpy() for name, cells in bad.items()}
    return TypedTable(**vars(replace(table)), values=values, unreadable=unreadable)


def complete_rows(table: TypedTable) -> TypedTable:
    """Return the rows that lack no value.

    Raises:  DataError when each lacks one
    """
    is_complete = table.values.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
    if not is_complete.any():
        raise DataError("empty: every row lacks a value", where=table.where, cure="choose `missing: mean`")
    return table if is_complete.all() else table.take(np.flatnonzero(is_complete))
