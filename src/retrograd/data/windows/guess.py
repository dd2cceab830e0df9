"""The time and the series of a table whose settings do not name them: guessed if the rows cannot be one series."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.date_forms import has_year
from retrograd.data.cells.kinds import find_kinds
from retrograd.data.settings import DataSettings
from retrograd.data.split.split import FEW_ROWS
from retrograd.data.table import Table
from retrograd.data.tables.plan import TablePlan
from retrograd.data.windows.order import Clock, clock, clock_of
from retrograd.data.windows.series import Blocks, blocks_of, keys_in_blocks, separating_keys
from retrograd.data.windows.settings import WindowSettings
from retrograd.present.wording import some_of

TIME_NAME = re.compile(r"(?i)(^|[_ .-])(time|timestamp|ts|date|datetime|epoch|unix)([_ .-]|$)")  # of numbers
MOSTLY = 0.5  # share of equal steps above which distinct times form a series, unlike birthdays


def with_guesses(
    table: Table, settings: DataSettings, windows: WindowSettings, targets: tuple[str, ...]
) -> tuple[WindowSettings, tuple[str, ...]]:
    """Return the settings with time and series filled in, and a sentence about each guess.

    If times repeat or go back in the file, its rows cannot be one series in file order. Then the date is the time, and
    the column (or pair of columns) within whose values no time repeats names the series. Without a column of dates,
    the series come from a column that has the name of an item, or whose values each fill one block of rows.
    """
    windows, notes = replace(windows, series=windows.keys) if windows.series is not None else windows, []
    least = windows.history + windows.horizon
    others = {*targets, *settings.exclude, windows.time, *windows.known}
    time = windows.time or _date_column(table, settings, others)
    if windows.series is not None and windows.time is not None:
        return windows, ()
    if time is None:
        keys = () if windows.series is not None else keys_in_blocks(table, {name for name in others if name}, least)
        if keys:
            notes.append(
                f"'{keys[0]}' seems to name the series, by its name or because each value fills one block of rows: "
                + _series_words(keys)
            )
        return replace(windows, series=windows.keys or keys), tuple(notes)
    moments = clock_of(table, time, settings.kinds.get(time)).moments
    rises, differ = bool((np.diff(moments) > 0).all()), len(np.unique(moments)) == len(moments)
    if windows.time is None and rises:
        return replace(windows, series=windows.keys), ()
    keys = windows.keys
    if windows.series is None and not differ:
        keys = separating_keys(table, moments, {time, *(name for name in others if name)}, least)
        if keys:
            notes.append(f"times in '{time}' repeat, but not within {', '.join(keys)}: " + _series_words(keys))
    parted = differ or windows.series is not None or bool(keys)
    if windows.time is None and parted:
        sorting = data_setting("windows.time", time)
        notes.append(f"'{time}' is not in ascending order: rows are sorted by it (" + sorting + ")")
        return replace(windows, time=time, series=keys), tuple(notes)
    if windows.time is None:
        notes.append(
            f"times in '{time}' repeat or go back, and no column separates the series: windows follow file order; set "
            + data_setting("windows", f"{{time: {time}, series: ...}}")
            + " if the rows are several series"
        )
    return replace(windows, series=keys), tuple(notes)


def _series_words(keys: tuple[str, ...]) -> str:
    name = keys[0] if len(keys) == 1 else f"[{', '.join(keys)}]"
    one_series = data_setting("series", "[]", section="windows")
    form = "used as the name of the series ({}; {} makes all rows one series)"
    return sentence(form, data_setting("windows.series", name), one_series)


def _date_column(table: Table, settings: DataSettings, others: set[str | None]) -> str | None:
    """Return the first column of dates, or else of numbers with a name that suggests time."""
    names = tuple(name for name in table.names if name not in others and table.column(name).null_count() == 0)
    kinds = find_kinds(table, names, replace(settings, kinds={k: v for k, v in settings.kinds.items() if k in names}))
    counted = [name for name in names if kinds[name].kind in ("number", "identifier") and TIME_NAME.search(name)]
    return next((name for name in names if kinds[name].kind == "date"), next(iter(counted), None))


def dated_notes(plan: TablePlan) -> Iterator[str]:
    """Yield a sentence on the first column of dates that orders the rows, unless the split method is set."""
    settings, targets, table = plan.settings, plan.goal.names, plan.rows
    if settings.split.method != "auto" or settings.windows is not None or len(table) < FEW_ROWS:
        return
    for name, kind in plan.features.items():
        moments = table.values[name] if kind.kind == "date" else None
        if moments is None or moments.null_count() or not has_year(kind.form):  # a time of day makes no row the newest
            continue
        time = clock(kind, moments)
        keys = (
            separating_keys(table, time.moments, (name, *targets), FEW_ROWS) if moments.n_unique() < len(table) else ()
        )
        if not _orders(time, blocks_of(table, ())) and not (keys and _orders(time, blocks_of(table, keys))):
            continue
        series = f", series: [{', '.join(keys)}]" if keys else ""
        windows = data_setting("windows", f"{{history: ..., time: {name}{series}}}")
        forecast = "; " + windows + f" forecasts {some_of(targets)} from earlier rows"
        yield (
            f"'{name}' orders the rows in time, but they are split at random: "
            + data_setting("split", f"{{method: time, column: {name}}}")
            + " tests on the newest rows"
            + (forecast if plan.goal.task == "regression" else "")
        )
        return


def _orders(clock: Clock, blocks: Blocks) -> bool:
    """Return whether the rows ascend or descend in time, or have distinct times, most of them equally far apart."""
    steps = np.diff(clock.moments)
    if (steps >= 0).all() or (steps <= 0).all():
        return bool((steps != 0).any())
    order = np.lexsort((clock.moments, blocks.numbers))
    places, same = clock.places[order], np.diff(blocks.numbers[order]) == 0
    ahead = np.round(np.diff(places)[same], 6)
    if not len(ahead) or (ahead == 0).any():
        return False
    counts = np.unique(ahead, return_counts=True)[1]
    return bool(counts.max() > MOSTLY * len(ahead))
