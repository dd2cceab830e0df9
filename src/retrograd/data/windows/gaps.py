"""Filling gaps in series: skipped times become rows, and missing cells are interpolated between their neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.table import Table
from retrograd.data.windows.order import Clock, clock_of
from retrograd.data.windows.series import blocks_of

MOST_ROWS = 10  # times as many rows as the file has; a clock that skips more is not regular


def filled(
    table: Table,
    time: str | None,
    keys: tuple[str, ...],
    kinds: Mapping[str, ColumnKind],
    targets: tuple[str, ...],
    chosen: str | None = None,
) -> Table:
    """Return an ordered table without gaps; `chosen` is the kind that the settings give its time.

    Numbers are interpolated; other cells repeat the previous one.

    A target is not continued beyond its last value: what follows is the future.
    """
    blocks = [table.take(np.arange(lo, hi)) for _, lo, hi in blocks_of(table, keys).bounds]
    clocks = [None if time is None else clock_of(block, time, chosen) for block in blocks]
    parts = [_filled_series(*pair, time, keys, kinds, targets) for pair in zip(blocks, clocks, strict=True)]
    frame = pl.concat([part.frame for part in parts], how="vertical_relaxed")
    lines = None if table.lines is None else np.concatenate([part.lines for part in parts if part.lines is not None])
    return replace(table, frame=frame, lines=lines, numbers=None)


def _filled_series(
    table: Table,
    clock: Clock | None,
    time: str | None,
    keys: tuple[str, ...],
    kinds: Mapping[str, ColumnKind],
    targets: tuple[str, ...],
) -> Table:
    known = np.arange(len(table), dtype=float) if clock is None else clock.places
    places = known if clock is None else _grid(clock, table, keys)
    source = np.maximum(np.searchsorted(known, places + 1e-9, side="right") - 1, 0)  # the last row before
    is_old = np.isclose(known[source], places, rtol=0, atol=1e-6)
    columns = []
    for series in table.frame.iter_columns():
        if series.name in kinds and kinds[series.name].kind in ("number", "boolean"):
            values = kinds[series.name].parse(series).values.to_numpy().astype(float)
            columns.append(pl.Series(series.name, _on_a_line(known, values, places, series.name in targets)))
        elif series.name == time and clock is not None:
            columns.append(_moments(series, clock, places, source, is_old))
        else:
            columns.append(series.fill_null(strategy="forward").fill_null(strategy="backward")[source])
    frame = pl.DataFrame(columns).with_columns(pl.col(pl.Float64).fill_nan(None))
    return replace(table, frame=frame, lines=None if table.lines is None else table.lines[source], numbers=None)


def _grid(clock: Clock, table: Table, keys: tuple[str, ...]) -> np.ndarray:
    """Return all places from the first to the last, including those in the file."""
    places = clock.places
    step = clock.step(blocks_of(table, keys))
    if len(places) < 2 or (places[-1] - places[0]) / step > MOST_ROWS * len(places):
        return places
    grid = np.arange(places[0], places[-1] + step / 2, step)
    near = np.abs(grid[:, None] - places[np.clip(np.searchsorted(places, grid)[:, None] - [1, 0], 0, len(places) - 1)])
    new = grid[near.min(1) > step / 2]  # for the others, the file has a row nearby
    return np.sort(np.concatenate([places, new]))


def _on_a_line(known: np.ndarray, values: np.ndarray, places: np.ndarray, is_target: bool) -> np.ndarray:
    there = np.isfinite(values)
    if not there.any():
        return np.full(len(places), np.nan)
    line: np.ndarray = np.interp(places, known[there], values[there])
    if is_target:
        line[places > known[there][-1]] = np.nan
    return line


def _moments(series: pl.Series, clock: Clock, places: np.ndarray, source: np.ndarray, is_old: np.ndarray) -> pl.Series:
    """Return the time column, with the times of new rows in the format of the others."""
    if is_old.all():
        return series[source]
    moments = clock.moments_at(places)
    if clock.kind.kind != "date":
        new = pl.Series(series.name, moments)
        return new.cast(series.dtype, strict=False) if series.dtype.is_numeric() else new.cast(pl.String)
    stamps = pl.Series(series.name, np.round(moments * 86400e6).astype("int64")).cast(pl.Datetime("us"))
    made = stamps.dt.strftime(clock.kind.form.replace("%#z", "+0000")) if series.dtype == pl.String else stamps
    old = series[source]
    return pl.select(
        pl.when(pl.Series(is_old)).then(old).otherwise(made.cast(series.dtype)).alias(series.name)
    ).to_series()
