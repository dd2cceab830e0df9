"""Rows in order of time, and how regular that time is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.kinds import ColumnKind, find_kinds
from retrograd.data.settings import DataSettings
from retrograd.data.table import CellFaults, Table
from retrograd.data.windows.series import Blocks, blocks_of, separating_keys

SHORTEST_MONTH, WEEK = 28, 7  # days
MILLISECONDS = {"day": 86_400_000, "hour": 3_600_000, "minute": 60_000, "second": 1000, "millisecond": 1}
SAME = 1e-6  # of a step


@dataclass(frozen=True)
class Clock:
    """A column of time: its times as numbers, and their places in steps of the calendar that it follows.

    `places` are integers if time is regular: months if no step is shorter than 28 days and all times have the same day
    of the month, business days if there is nothing on weekends, else milliseconds (or the column's own unit).
    """

    kind: ColumnKind
    moments: np.ndarray
    places: np.ndarray
    unit: str

    def step(self, blocks: Blocks) -> float:
        """Return the most common step within a series, in units."""
        steps = np.concatenate([np.diff(self.places[lo:hi]) for _, lo, hi in blocks.bounds] or [np.ones(1)])
        different, counts = np.unique(np.round(steps, 6), return_counts=True)
        return float(different[counts.argmax()]) if len(different) else 1.0

    def gaps(self, blocks: Blocks) -> tuple[np.ndarray, float]:
        """Return the rows that do not follow the previous one by the most common step, and that step in units."""
        step = self.step(blocks)
        off = np.abs(np.diff(self.places, prepend=np.nan) - step) > SAME * max(step, 1)
        for _, lo, _ in blocks.bounds:
            off[lo] = False
        return np.flatnonzero(off), step

    def moments_at(self, places: np.ndarray) -> np.ndarray:
        """Return the times at places of the calendar between the first and the last."""
        if self.unit == "month":
            first, day = self._days.min(), self._days[0].item().day
            months = np.round(places).astype(int).astype("datetime64[M]")
            last = (months + 1).astype("datetime64[D]") - 1
            is_last = (self._days + 1).astype("datetime64[M]") != self._days.astype("datetime64[M]")
            days = last if is_last.all() else np.minimum(months.astype("datetime64[D]") + (day - 1), last)
            moments: np.ndarray = np.maximum(days, first).astype(np.float64)
        elif self.unit == "business day":
            moments = np.busday_offset(self._days.min(), np.round(places).astype(int)).astype(np.float64)
        else:
            order = np.argsort(self.places)
            moments = np.interp(places, self.places[order], self.moments[order])
        return moments

    @property
    def _days(self) -> np.ndarray:
        return self.moments.astype("datetime64[D]")

    def words(self, steps: float) -> str:
        """Return a number of units in words, such as `3 hours`."""
        unit, count = self.unit, steps
        if unit == "millisecond":
            unit = next((unit for unit, size in MILLISECONDS.items() if abs(steps) >= size), unit)
            count = steps / MILLISECONDS[unit]
        return f"{count:g} {unit}{'' if count == 1 else 's'}"


def clock_of(table: Table, time: str, chosen: str | None = None) -> Clock:
    """Return the clock of a column, read as the chosen kind (or date format) or as its cells suggest.

    Raises:  DataError for a missing time, or a column of neither numbers nor dates
    """
    kind = find_kinds(table, (time,), DataSettings(kinds={time: chosen} if chosen else {}))[time]
    kind = ColumnKind("number") if kind.kind == "identifier" else kind  # row numbers can be a time
    moments = kind.parse(table.column(time)).values
    faults = CellFaults(table)
    faults.add(time, moments.is_null().arg_true(), "a number or a date")
    faults.raise_any("complete these rows, or remove them")
    if moments.dtype == pl.String:
        raise DataError(f"column '{time}' contains neither numbers nor dates", where=table.where)
    return clock(kind, moments)


def clock(kind: ColumnKind, values: pl.Series) -> Clock:
    """Return the clock of a column whose times have been parsed."""
    moments = values.to_numpy().astype(np.float64)
    return Clock(kind, moments, *_calendar(moments, kind.kind == "date"))


def in_order(table: Table, time: str | None, keys: tuple[str, ...] = (), chosen: str | None = None) -> Table:
    """Return the rows series by series (in order of appearance), each sorted by a column of numbers or dates.

    Raises:  DataError for a time that is missing or repeats in a series
    """
    blocks = blocks_of(table, keys)
    if time is None:
        return table.take(np.argsort(blocks.numbers, kind="stable")) if keys else table
    clock = clock_of(table, time, chosen)
    order = np.lexsort((clock.moments, blocks.numbers))
    _reject_repeated(table, time, keys, clock, blocks, order)
    return table if (np.diff(order) == 1).all() else table.take(order)


def _reject_repeated(
    table: Table, time: str, keys: tuple[str, ...], clock: Clock, blocks: Blocks, order: np.ndarray
) -> None:
    same = (np.diff(clock.moments[order]) == 0) & (np.diff(blocks.numbers[order]) == 0)
    if not same.any():
        return
    row = int(order[np.flatnonzero(same)[0] + 1])
    where, line = table.place(row)
    parting = separating_keys(table, clock.moments, (time,), 2, keys)
    cure = "windows need one row for each time in a series: sum or average such rows, or remove all but one"
    if parting:
        separated = data_setting("windows.series", f"[{', '.join(parting)}]")
        cure = "if these are several series, separate them with " + separated
    within = f" of series '{blocks.names[blocks.numbers[row]]}'" if keys else ""
    more = f" ({int(same.sum())} rows repeat a time)" if same.sum() > 1 else ""
    message = f"{line}, column '{time}': the same time as another row{within}{more}"
    raise DataError(message, where=where, cure=cure)


def _calendar(moments: np.ndarray, is_date: bool) -> tuple[np.ndarray, str]:
    """Return the place of each time in the calendar, and the calendar's unit."""
    steps = np.diff(np.unique(moments))
    if not is_date or not len(steps):
        typical = float(np.median(steps)) if len(steps) else 1.0
        return moments / (typical or 1.0), "step"
    whole = bool((moments % 1 == 0).all())
    if whole and steps.min() >= SHORTEST_MONTH:
        days = moments.astype("datetime64[D]")
        months = days.astype("datetime64[M]")
        day = (days - months.astype("datetime64[D]")).astype(int)
        last = ((months + 1).astype("datetime64[D]") - days).astype(int) == 1
        if len(np.unique(day)) == 1 or last.all():
            return months.astype(np.float64), "month"
    if whole and steps.min() == 1 and np.is_busday(moments.astype("datetime64[D]")).all() and np.ptp(moments) >= WEEK:
        days = moments.astype("datetime64[D]")
        return np.busday_count(days.min(), days).astype(np.float64), "business day"
    return np.round(moments * MILLISECONDS["day"]), "millisecond"
