"""The plan for windows over a table: which columns are inputs, and which are predicted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.kinds import ColumnKind, find_kinds, kinds_notes
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.table import Table
from retrograd.data.tables.goal import Goal, Plan
from retrograd.data.tables.inputs import TableInputs, fit_table
from retrograd.data.tables.scaling import Scaling, fit_scaling
from retrograd.data.tables.target import Quantities
from retrograd.data.tables.typed import typed
from retrograd.data.windows.gaps import filled
from retrograd.data.windows.guess import with_guesses
from retrograd.data.windows.inputs import WindowInputs
from retrograd.data.windows.levels import Levels, fit_levels
from retrograd.data.windows.order import clock_of, in_order
from retrograd.data.windows.series import blocks_of, observed
from retrograd.data.windows.settings import WindowSettings
from retrograd.present.wording import some_of


@dataclass(frozen=True)
class WindowPlan(Plan[Table, tuple[WindowInputs, Quantities]]):
    """The plan for a table whose rows are points in time."""

    windows: WindowSettings
    features: dict[str, ColumnKind]
    ignored: tuple[str, ...]
    is_ordered: ClassVar[bool] = True

    def clean(self, rows: Table) -> Table:
        """Return the rows in order of time, series by series, without series that are too short for a window."""
        time, keys, settings = self.windows.time, self.windows.keys, self.settings
        table = in_order(rows.with_missing(settings.missing_values), time, keys, self.time_kind)
        if settings.missing == "interpolate":
            table = filled(table, time, keys, self._every_kind, self.goal.names, self.time_kind)
        is_long = long_enough(table, self.windows)
        return table if is_long.all() else table.take(np.flatnonzero(is_long))

    def fit(self, train: Table) -> tuple[WindowInputs, Quantities]:
        """Return inputs and target fitted on training rows; a target has the same scale at each step of the horizon."""
        windows, settings = self.windows, self.settings
        scale = settings.scale or "standard"
        is_scaled = settings.scale in (None, "standard", "robust", "log", "minmax")
        target_scale = settings.scale_target or ("standard" if is_scaled else "none")
        plain = fit_table(train, self.features, self.ignored, replace(settings, clip=None), "none")
        lengths = windows.history, windows.horizon, windows.stride
        inputs = WindowInputs(plain, self.goal.names, *lengths, windows.time, windows.keys, time_kind=self.time_kind)
        if windows.keys and target_scale != "none":
            inputs = replace(inputs, levels=_levels(inputs, train, target_scale))
        flat, _ = inputs.flat(train, Report())
        known = self._known(train)
        inputs = replace(inputs, table=fit_table(flat, self.features, self.ignored, settings, scale), known=known)
        values = inputs.values(flat)
        one = fit_scaling(values[np.isfinite(values).all(1)], target_scale)
        scaling = Scaling(one.offset * windows.horizon, one.scale * windows.horizon, floor=one.floor * windows.horizon)
        return inputs, Quantities(inputs.steps, scaling)

    def split_keys(self, rows: Table) -> np.ndarray | None:
        """Return each row's place in its series, from 0 to 1, so that each series is split by its own time."""
        if not self.windows.keys:
            return None
        places = np.empty(len(rows))
        for _, lo, hi in blocks_of(rows, self.windows.keys).bounds:
            places[lo:hi] = np.arange(1, hi - lo + 1) / (hi - lo)
        return places

    def with_history(self, rows: Table, part: np.ndarray) -> np.ndarray:
        """Return a part's rows, preceded in each series by as many as a window looks back."""
        pieces = []
        for _, lo, hi in blocks_of(rows, self.windows.keys).bounds:
            inside = part[(part >= lo) & (part < hi)]
            if len(inside):
                pieces += [np.arange(max(lo, inside[0] - self.windows.history), inside[0]), inside]
        return np.concatenate(pieces) if pieces else part

    def observed(self, table: Table) -> np.ndarray:
        """Return, for each row, the end of the rows with a target in its series."""
        return observed(table, self.windows.keys, self.goal.names)

    def _known(self, train: Table) -> TableInputs | None:
        if not self.windows.known:
            return None
        settings = replace(self.settings, categories="one_hot")
        kinds = {name: self.features.get(name) or self._every_kind[name] for name in self.windows.known}
        return fit_table(train, kinds, (), settings, settings.scale or "standard")

    @property
    def time_kind(self) -> str | None:
        """The kind that the settings give the time column."""
        return self.settings.kinds.get(self.windows.time or "")

    @property
    def _every_kind(self) -> dict[str, ColumnKind]:
        return {**dict.fromkeys(self.goal.names, ColumnKind("number")), **self.features}


def _levels(inputs: WindowInputs, train: Table, method: str) -> Levels:
    values, blocks = inputs.values(train), blocks_of(train, inputs.series)
    bounds = list(blocks.bounds)
    names = tuple(blocks.names[number] for number, _, _ in bounds)
    return fit_levels(names, [values[lo:hi] for _, lo, hi in bounds], method)


def long_enough(table: Table, windows: WindowSettings) -> np.ndarray:
    """Return which rows belong to a series with at least one window; a single series is kept whole.

    Raises:  DataError if no series has one
    """
    least, blocks = windows.history + windows.horizon, blocks_of(table, windows.keys)
    is_long = np.zeros(len(table), bool)
    for _, lo, hi in blocks.bounds:
        is_long[lo:hi] = hi - lo >= least
    if not windows.keys:
        return np.ones(len(table), bool)
    if not is_long.any():
        have = f"has the {least} rows that a window needs ({len(table)} rows in all)"
        message = f"none of {len(blocks.names)} series {have}"
        raise DataError(message, where=table.where, cure="add rows, or choose a smaller `history`")
    return is_long


def plan_windows(table: Table, settings: DataSettings, windows: WindowSettings) -> WindowPlan:
    """Infer the roles of a table's columns.

    Raises:  ConfigError for a split that would break up windows; DataError for targets that are not numbers
    """
    if settings.split.method not in ("auto", "time", "none") or settings.split.column is not None:
        raise ConfigError("windows are split by their own time", where="data.split", cure="remove method and column")
    if settings.weight is not None:
        raise ConfigError("windows have no weights", where="data.weight", cure="remove it")
    table = table.with_missing(settings.missing_values)
    targets = find_targets(table.names, replace(settings, task="regression"))
    if set(targets) & set(windows.known):
        raise ConfigError("a target is not known in advance", where="data.windows.known", cure="remove it")
    windows, guesses = with_guesses(table, settings, windows, targets)
    least = windows.history + windows.horizon
    if len(table) < least:
        cure = "add rows, or choose a smaller `history` or `horizon`"
        message = f"{len(table)} rows are fewer than the {least} that a window needs"
        raise DataError(message, where=table.where, cure=cure)
    if settings.scale_target == "log" and windows.keys:
        cure = "use standard, robust, minmax or none"
        raise ConfigError("each series is scaled by its own level", where="data.scale_target", cure=cure)
    for name in (*windows.keys, *windows.known):
        table.column(name)
    names = settings.features or tuple(name for name in table.names if name not in {*settings.exclude, windows.time})
    kinds = find_kinds(table, tuple(dict.fromkeys((*names, *targets, *windows.known))), settings)
    words = [name for name in targets if kinds[name].kind not in ("number", "identifier")]
    if words:
        raise DataError(
            f"the target '{words[0]}' does not contain numbers",
            where=table.where,
            cure="choose others with " + data_setting("target"),
        )
    many = [name for name in windows.keys if table.column(name).n_unique() > settings.max_categories]
    kinds |= {name: ColumnKind("identifier" if name in many else "category") for name in windows.keys if name in kinds}
    kinds |= {name: ColumnKind("identifier") for name in names if kinds[name].kind == "text"}
    kinds |= {name: ColumnKind("number") for name in targets if kinds[name].kind == "identifier"}
    features = {name: kinds[name] for name in names if kinds[name].kind != "identifier"}
    typed(table, features, settings.invalid, settings.missing)
    ordered = f"ordered by {windows.time}" if windows.time else "in file order"
    note = f"forecast of {some_of(targets)}: {windows.horizon} rows after each {windows.history}, {ordered}"
    ignored = tuple(name for name in table.names if name not in features)
    goal = Goal("regression", targets)
    plan = WindowPlan(settings, goal, (), table, windows, features, ignored).cleaned()
    shown = {name: kinds[name] for name in names}
    return replace(plan, notes=(note, *guesses, *_order_notes(plan, table), *kinds_notes(shown)))


def _order_notes(plan: WindowPlan, table: Table) -> Iterator[str]:
    """Yield sentences about series and time."""
    windows = plan.windows
    ordered = in_order(table, windows.time, windows.keys, plan.time_kind)
    rows = plan.rows
    blocks, least = blocks_of(ordered, windows.keys), windows.history + windows.horizon
    if windows.keys:
        sizes = {blocks.names[number]: hi - lo for number, lo, hi in blocks_of(rows, windows.keys).bounds}
        count = sum(-(-(size - least + 1) // windows.stride) for size in sizes.values() if size >= least)
        yield (
            f"{len(sizes)} series separated by {', '.join(windows.keys)}: {some_of(list(sizes), 5)}; {count} windows, "
            "none across two series; each series is scaled and split on its own"
        )
        short = [blocks.names[number] for number, lo, hi in blocks.bounds if blocks.names[number] not in sizes]
        if short:
            yield f"skipped, as shorter than the {least} rows that a window needs: {some_of(short)}"
    future = int((np.arange(len(rows)) >= plan.observed(rows)).sum())
    if future:
        yield f"{future} row{'s' if future > 1 else ''} at the end without a target: treated as the future"
    if windows.time is not None:
        yield from _time_notes(plan, table, ordered, rows)
    elif plan.settings.missing == "interpolate":
        yield "without " + data_setting("windows.time", "...") + ", only missing cells are filled, not skipped times"


def _time_notes(plan: WindowPlan, table: Table, ordered: Table, rows: Table) -> Iterator[str]:
    time, keys = plan.windows.time or "", plan.windows.keys
    as_read = table.take(np.argsort(blocks_of(table, keys).numbers, kind="stable"))
    before = clock_of(as_read, time, plan.time_kind).moments
    clock, blocks = clock_of(ordered, time, plan.time_kind), blocks_of(ordered, keys)
    if (before != clock.moments).any():
        yield f"the file is not in order of time: its rows were sorted by '{time}'"
    off, step = clock.gaps(blocks)
    if not len(off):
        return
    steps = len(ordered) - len({*blocks.numbers.tolist()})
    _, line = ordered.place(int(off[0]))
    length = clock.words(float(clock.places[off[0]] - clock.places[off[0] - 1]))
    note = f"time is irregular: {len(off)} of {steps} steps are not {clock.words(step)}"
    note += f"; the first one is {length} before {line}"
    if plan.settings.missing == "interpolate":
        yield f"{note}; {len(rows)} rows after filling in the times between"
    else:
        yield f"{note}; " + data_setting("missing", "interpolate") + " fills in the times between"
