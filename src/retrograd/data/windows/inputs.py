"""Fitted inputs of windows: the columns of a table, arranged as histories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict

from retrograd.base.errors import DataError
from retrograd.base.memory import require_room
from retrograd.base.sentence import data_setting
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.cells.precision import floats
from retrograd.data.report import Report
from retrograd.data.table import CellFaults, Table, from_any_frame
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.tables.typed import typed
from retrograd.data.windows.gaps import filled
from retrograd.data.windows.levels import LEVEL, SPREAD, Levels
from retrograd.data.windows.order import in_order
from retrograd.data.windows.series import blocks_of, observed
from retrograd.present.wording import some_of

KNOWN = "known"  # the batch column with known values at the horizon


@dataclass(frozen=True)
class WindowInputs:
    """Windows over the rows of a table, series by series, in order of time.

    The target of a window is each of the `targets` in each of the `horizon` rows after it. `series` are the columns
    that distinguish series; `levels` scale the targets of each; `known` reads the known values at the horizon;
    `time_kind` is the kind that the settings give the time.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    table: TableInputs
    targets: tuple[str, ...]
    history: int
    horizon: int
    stride: int
    time: str | None
    series: tuple[str, ...] = ()
    levels: Levels | None = None
    known: TableInputs | None = None
    time_kind: str | None = None
    kind: Literal["windows"] = "windows"

    @property
    def features(self) -> tuple[str, ...]:
        """No names: x is not flat."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers, and how many each has."""
        return self.table.embedded

    @property
    def steps(self) -> tuple[str, ...]:
        """The names of the predicted values: each target at each step."""
        return tuple(f"{name}+{step + 1}" for step in range(self.horizon) for name in self.targets)

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Table:
        """Return the table with rows in order of time, and with gaps filled if the settings say so."""
        table = data if isinstance(data, Table) else from_any_frame(data)
        table = in_order(table.with_missing(self.table.missing_values), self.time, self.series, self.time_kind)
        if self.table.missing != "interpolate":
            return table
        return filled(table, self.time, self.series, self._kinds(), self.targets, self.time_kind)

    def encode(self, table: Table, report: Report, with_target: bool) -> dict[str, np.ndarray]:
        """Return `x`, float32 [windows, history, features], and identifiers of embedded columns [windows, history].

        With `known` columns, also `known`, float32 [windows, horizon, features]; with several series, also their level
        and spread [windows, targets]. Without a target, the last windows are those at the end of each series, whose
        future is not there yet.

        Raises:  DataError if there are fewer rows than a window needs
        """
        starts = self.starts(table, with_target, report)
        flat, levels = self.flat(table, report)
        flat_columns = self.table.encode(flat, report)
        self._check_room(len(starts) * self.history, [column[:1].nbytes for column in flat_columns.values()], "history")
        rows = starts[:, None] + np.arange(self.history)
        columns = {name: column[rows] for name, column in flat_columns.items()}
        if self.known is not None:
            after = starts[:, None] + self.history + np.arange(self.horizon)
            seen = replace(self.known, ignored=table.names).encode(table, Report())
            columns[KNOWN] = seen["x"][after]
        if levels is not None:
            columns |= {name: values[starts].astype(floats()) for name, values in levels.items()}
        return columns

    def _check_room(self, cells: int, row_bytes: Sequence[int], setting: str) -> None:
        """Raise ResourceError if windows with this total number of rows do not fit in memory."""
        needed = cells * (sum(row_bytes) + np.dtype(np.intp).itemsize)
        require_room(needed, "the windows", f"data.windows.{setting}", f"shorten `{setting}`, or lengthen `stride`")

    def starts(self, table: Table, with_target: bool, report: Report | None = None) -> np.ndarray:
        """Return the first row of each window, placed in each series from the last window backwards.

        Without a target, the windows at the end of each series come last.
        """
        starts, last, short = [np.empty(0, int)], [], []
        ends = observed(table, self.series, self.targets)
        blocks = blocks_of(table, self.series)
        ahead = self.horizon if with_target or self.known is not None else 0
        for number, lo, hi in blocks.bounds:
            end = min(ends[lo] - (self.horizon if with_target else 0), hi - ahead)  # of the last history
            if end - lo < self.history:
                short.append(blocks.names[number])
                continue
            first = lo + (end - self.history - lo) % self.stride
            series_starts = np.arange(first, end - self.history + 1, self.stride)
            starts.append(series_starts if with_target else series_starts[:-1])
            last += [] if with_target else [series_starts[-1]]
        self._report_short(table, short, len(starts) > 1, with_target, report)
        return np.concatenate([*starts, np.array(last, int)])

    def target_table(self, table: Table) -> Table:
        """Return a table of what follows each window: columns `name+1` to `name+horizon`, relative to the level."""
        ends = self.starts(table, with_target=True) + self.history
        self._check_room(len(ends) * self.horizon, [8 * len(self.targets)], "horizon")
        values = self.values(table)
        until = observed(table, self.series, self.targets)
        faults = CellFaults(table)
        for name, column in zip(self.targets, values.T, strict=True):
            missing = np.isnan(column) & (np.arange(len(column)) < until)
            faults.add(name, pl.Series(np.flatnonzero(missing)), "a finite number")
        filled = data_setting("missing", "interpolate") + " to fill these cells from their neighbours"
        faults.raise_any("set " + filled + ", or remove the rows")
        values = self._levelled(table, values)[0]
        columns = [values[ends + step, i] for step in range(self.horizon) for i in range(len(self.targets))]
        return Table(pl.DataFrame(dict(zip(self.steps, columns, strict=True))), table.where)

    def labels(self, table: Table) -> Iterator[pl.Series]:
        """Yield the columns shown beside forecasts: the series, and the time (or number) of each window's last row."""
        ends = self.starts(table, with_target=False) + self.history - 1
        yield from (table.frame[name][ends] for name in self.series)
        if self.time is None:
            yield pl.Series("after_row", ends + 1)
        else:
            yield table.frame[self.time][ends].alias(f"after_{self.time}")

    def _kinds(self) -> dict[str, ColumnKind]:
        known = () if self.known is None else self.known.columns
        return {column.name: column.column_kind for column in (*self.table.columns, *known)} | {
            name: ColumnKind("number") for name in self.targets if name not in self._read
        }

    @property
    def _read(self) -> tuple[str, ...]:
        """The names of the columns that are features."""
        return tuple(column.name for column in self.table.columns)

    def values(self, table: Table) -> np.ndarray:
        """Return the targets as numbers [rows, targets], NaN for missing ones."""
        kinds = self._kinds()
        columns = [kinds[name].parse(table.column(name)).values.cast(pl.Float64) for name in self.targets]
        return np.column_stack([values.fill_null(np.nan).to_numpy() for values in columns])

    def _levelled(self, table: Table, values: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray] | None]:
        """Return values [rows, targets] relative to the level of their series, and each row's level and spread."""
        if self.levels is None:
            return values, None
        blocks = blocks_of(table, self.series)
        level, spread = np.zeros_like(values), np.ones_like(values)
        for number, lo, hi in blocks.bounds:
            scaling = self.levels.of(blocks.names[number], values[lo:hi])
            level[lo:hi], spread[lo:hi] = scaling.offset, scaling.scale
        return (values - level) / spread, {LEVEL: level, SPREAD: spread}

    def flat(self, table: Table, report: Report) -> tuple[Table, dict[str, np.ndarray] | None]:
        """Return the table with targets relative to the level of their series and without gaps in the future, and each
        row's level and spread [rows, targets], if series have them.
        """
        there = all(name in table.names for name in self.targets)
        if there:
            kinds = {name: kind for name, kind in self._kinds().items() if name in self.targets}
            typed(table, kinds, self.table.invalid, self.table.missing)
        if self.levels is not None:
            unknown = [name for name in blocks_of(table, self.series).names if name not in self.levels.names]
            if unknown and not there:
                cure = f"add the column {some_of(self.targets)}"
                message = f"series that were not in the training data: {some_of(unknown)}"
                raise DataError(message, where=table.where, cure=cure)
            if unknown:
                known = "not in the training data, so scaled by their own rows"
                report.remarks.append(f"{len(unknown)} series {known}: {some_of(unknown)}")
        values = self.values(table) if there else np.full((len(table), len(self.targets)), np.nan)
        values, levels = self._levelled(table, values)
        until, rows = observed(table, self.series, self.targets), np.arange(len(table))
        if not there or (levels is None and not (rows >= until).any()):
            return table, levels
        last = values[np.maximum(until - 1, 0)]
        values = np.where((rows >= until)[:, None], last, values)
        columns = [pl.Series(name, column).fill_nan(None) for name, column in zip(self.targets, values.T, strict=True)]
        return replace(table, frame=table.frame.with_columns(columns)), levels

    def _report_short(
        self, table: Table, short: list[str], is_any: bool, with_target: bool, report: Report | None
    ) -> None:
        needed = self.history + (self.horizon if with_target or self.known is not None else 0)
        if not is_any:
            part = f"{len(table)} rows are fewer than the {needed} that a window needs"
            if self.series:
                part = (
                    f"none of {len(short)} series has the {needed} rows that a window needs ({len(table)} rows in all)"
                )
            larger = "make each part larger (" + data_setting("split") + ")"
            cure: str = "add rows, choose a smaller `history` or `horizon`, or " + larger
            if not with_target and self.known is not None:
                cure = f"add the {self.horizon} rows to forecast, with {some_of(self._known_names)}"
            raise DataError(part, where=table.where, cure=cure)
        if short and report is not None:
            shown = f"shorter than the {needed} rows that a window needs: {some_of(short)}"
            report.remarks.append(f"{len(short)} series {shown}")

    @property
    def _known_names(self) -> tuple[str, ...]:
        return () if self.known is None else tuple(column.name for column in self.known.columns)
