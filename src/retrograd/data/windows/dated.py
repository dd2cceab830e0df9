"""Telling that a table's rows have an order in time, where nobody asked for a split or a forecast by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.settings import DataSettings
from retrograd.data.split import FEW_ROWS
from retrograd.data.table import Table
from retrograd.data.windows.order import Clock, clock_of
from retrograd.data.windows.series import Blocks, blocks_of, keys_that_part
from retrograd.present.wording import some_of

MOSTLY = 0.5  # share of equal steps from which different moments make a series, not birthdays


def dated_notes(
    table: Table, kinds: Mapping[str, ColumnKind], targets: tuple[str, ...], is_quantity: bool, settings: DataSettings
) -> Iterator[str]:
    """Yield a sentence on the first column of dates that orders the rows, unless the split is chosen."""
    if settings.split.method != "auto" or settings.windows is not None or len(table) < FEW_ROWS:
        return
    for name, kind in kinds.items():
        if kind.kind != "date" or table.column(name).null_count():
            continue
        moments = kind.parse(table.column(name)).values
        if moments.null_count():
            continue
        clock = clock_of(table, name, settings)
        repeats = len(np.unique(clock.moments)) < len(table)
        keys = keys_that_part(table, clock.moments, (name, *targets), FEW_ROWS) if repeats else ()
        if not _orders(clock, Blocks(np.zeros(len(table), int), ("",))) and not (
            keys and _orders(clock, blocks_of(table, keys))
        ):
            continue
        series = f", series: [{', '.join(keys)}]" if keys else ""
        forecast = f"; `windows: {{history: ..., time: {name}{series}}}` forecasts {some_of(targets)} from rows before"
        yield (
            f"'{name}' orders the rows in time, but they are split at random: `split: {{method: time, column: {name}}}`"
            f" tests on the newest{forecast if is_quantity else ''}"
        )
        return


def _orders(clock: Clock, blocks: Blocks) -> bool:
    """Return whether rows rise or fall in time, or have moments of their own most of which are equally far apart."""
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
