"""Fitted inputs of windows: the columns of a table, laid out as histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict

from retrograd.base.errors import DataError
from retrograd.data.inputs import TableInputs
from retrograd.data.kinds import find_kinds
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.data.table import CellFaults, Table, from_any_frame
from retrograd.data.values import numbers


@dataclass(frozen=True)
class WindowInputs:
    """Windows over the rows of a table in the order of time.

    `series` are the target columns; the target of a window is each of them in each of the `horizon` rows after it.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    table: TableInputs
    series: tuple[str, ...]
    history: int
    horizon: int
    stride: int
    time: str | None
    kind: Literal["windows"] = "windows"

    @property
    def features(self) -> tuple[str, ...]:
        """No names: x is not flat."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers, and how many each has."""
        return self.table.embedded

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Table:
        """Return the table of rows in the order of time."""
        table = data if isinstance(data, Table) else from_any_frame(data)
        return in_order(table.with_missing(self.table.missing_values), self.time)

    def encode(self, table: Table, report: Report, with_target: bool) -> dict[str, np.ndarray]:
        """Return `x`, float32 [windows, history, features], and identifiers of embedded columns [windows, history].

        Without a target the last window ends at the last row: its future is not there yet.

        Raises:  DataError for fewer rows than a window needs
        """
        starts = self.starts(table, with_target)
        rows = starts[:, None] + np.arange(self.history)
        return {name: column[rows] for name, column in self.table.encode(table, report).items()}

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of what is predicted: each series at each step."""
        return tuple(f"{name}+{step + 1}" for step in range(self.horizon) for name in self.series)

    def starts(self, table: Table, with_target: bool) -> np.ndarray:
        """Return the first row of each window; windows are counted from the last one backwards."""
        needed = self.history + (self.horizon if with_target else 0)
        last = len(table) - needed
        if last < 0:
            part = f"{len(table)} rows in time are fewer than a window's {needed}"
            raise DataError(part, where=table.where, cure="give more rows, or choose a smaller `history`")
        return np.arange(last % self.stride, last + 1, self.stride)

    def target_table(self, table: Table) -> Table:
        """Return a table of what follows each window: the columns `name+1` to `name+horizon`."""
        ends = self.starts(table, with_target=True) + self.history
        faults = CellFaults(table)
        values = {name: numbers(table.column(name)).values for name in self.series}
        for name, column in values.items():
            faults.add(name, column.is_null().arg_true(), "a finite number")
        faults.raise_any("fill these cells, or leave the rows out")
        columns = [values[name].to_numpy()[ends + step] for step in range(self.horizon) for name in self.series]
        return Table(pl.DataFrame(dict(zip(self.steps, columns, strict=True))), table.where)

    def moments(self, table: Table) -> pl.Series:
        """Return the last row's time of each window (or its number, counted from 1), shown beside forecasts."""
        ends = self.starts(table, with_target=False) + self.history - 1
        if self.time is None:
            return pl.Series("after_row", ends + 1)
        return table.frame[self.time][ends].alias(f"after_{self.time}")


def in_order(table: Table, time: str | None) -> Table:
    """Return the rows sorted by a column of numbers or dates.

    Raises:  DataError for a moment that is missing or occurs twice
    """
    if time is None:
        return table
    kind = find_kinds(table, (time,), DataSettings())[time]
    moments = kind.parse(table.column(time)).values
    faults = CellFaults(table)
    faults.add(time, moments.is_null().arg_true(), "a number or a date")
    faults.raise_any("complete these rows, or leave them out")
    if moments.dtype == pl.String:
        raise DataError(f"column '{time}' holds neither numbers nor dates", where=table.where)
    order = np.argsort(moments.to_numpy(), kind="stable")
    twice = np.flatnonzero(np.diff(moments.to_numpy()[order]) == 0)
    if len(twice):
        where, line = table.place(int(order[twice[0] + 1]))
        cure = "windows need one row for each moment: give each series a file of its own"
        raise DataError(f"{line}, column '{time}': the same moment as another row", where=where, cure=cure)
    return table.take(order)
