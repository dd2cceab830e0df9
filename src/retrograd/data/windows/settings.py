"""The `windows:` section: how a table ordered by time becomes sequences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem
from retrograd.base.quantities import PositiveInt
from retrograd.base.schema import Settings


@dataclass(frozen=True)
class WindowSettings(Settings):
    """How the rows of a table are divided into windows.

    The `history` rows of a window are the input; the target columns of the `horizon` rows after them are predicted.
    `time` is the column by which rows are sorted (default: file order); it is not a feature. Target columns are
    features too, unless `features:` excludes them.

    `series` is the column (or columns) that separates several series in one table. No window spans two series; each
    series is scaled by its own level, and its name is a feature. If it is not set and times repeat or go back, the
    column is inferred; `series: []` means that all rows are one series.

    The rows of each series are split by time: the targets of validation and test windows lie in their own part, while
    their histories may reach back into the previous part, as they do in a real forecast.

    `known` are columns whose values at the horizon are known in advance (a holiday, a planned price). They become the
    batch column `known` [windows, horizon, features]. To predict, include the future rows, without their target.

    `missing: interpolate` (under `data:`) fills missing cells, and times that the file skips, by linear interpolation.
    """

    history: Annotated[
        PositiveInt,
        Words("rows that the network sees", more="looks further back, but is slower", less="faster, but sees less"),
    ]
    horizon: Annotated[
        PositiveInt,
        Words(
            "rows that are predicted",
            more="looks further ahead, which is harder",
            less="looks less far ahead, which is easier",
            why="1: the next row",
        ),
    ] = 1
    stride: Annotated[
        PositiveInt,
        Words(
            "rows from the start of one window to the next",
            more="fewer windows, faster epochs",
            less="more windows, but more alike",
            why="1: every window",
        ),
    ] = 1  # rows from one window to the next
    time: Annotated[str | None, Words("column by which rows are sorted", why="file order")] = None
    series: Annotated[
        str | tuple[str, ...] | None,
        Words(
            "column or columns that separate several series",
            why="one series, unless times repeat or go back and a column explains it",
        ),
    ] = None  # default: inferred; (): none
    known: Annotated[tuple[str, ...], Words("columns whose values at the horizon are known in advance")] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that separate series, as far as they are set."""
        return (self.series,) if isinstance(self.series, str) else self.series or ()

    def rules(self) -> Iterator[Problem]:
        """Yield problems with columns that have two roles."""
        for name in self.keys:
            if name == self.time:
                yield Problem("series", f"'{name}' is already used as `time`", "use the column of the items")
        for name in self.known:
            if name in self.keys or name == self.time:
                yield Problem("known", f"'{name}' is known anyway", "remove it")
