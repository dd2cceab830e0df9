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
    """How windows are laid over the rows of a table.

    The `history` rows of a window are the input; the target columns of the `horizon` rows after them are what is
    predicted. `time` names the column by which rows are sorted (default: the order of the file); it is no feature.
    Target columns are features too, unless `features:` leaves them out.

    `series` names the column (or columns) that tell several series in one table apart. No window crosses from one
    series to another; each is scaled by its own level, and its name is a feature. Without it, the column is looked
    for where moments repeat or fall back; `series: []` says that all rows are one series.

    The rows of each series are split by time: the targets of validation and test windows lie in their own part, and
    their histories may reach back into the part before, as they do when a forecast is made.

    `known` names columns whose values at the horizon are known beforehand (a holiday, a planned price). They become the
    batch column `known` [windows, horizon, features]. To predict, give the future rows as well, without their target.

    `missing: interpolate` (under `data:`) fills missing cells, and moments that the file skips, along a straight line.
    """

    history: Annotated[
        PositiveInt, Words("rows that the network sees", more="sees further back; slower", less="faster, sees less")
    ]
    horizon: Annotated[
        PositiveInt,
        Words(
            "rows that are predicted",
            more="looks further ahead, which is harder",
            less="nearer, easier",
            why="1: the next row",
        ),
    ] = 1
    stride: Annotated[
        PositiveInt,
        Words(
            "rows from one window to the next",
            more="fewer windows, faster epochs",
            less="more windows, much alike",
            why="1: all",
        ),
    ] = 1  # rows from one window to the next
    time: Annotated[str | None, Words("the column by which rows are sorted", why="the order of the file")] = None
    series: Annotated[
        str | tuple[str, ...] | None,
        Words(
            "the column, or columns, that separate several series",
            why="one series, unless moments repeat or fall back and a column explains it",
        ),
    ] = None  # default: looked for; (): none
    known: Annotated[tuple[str, ...], Words("columns whose values at the horizon are known beforehand")] = ()

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell series apart, as far as the settings say."""
        return (self.series,) if isinstance(self.series, str) else self.series or ()

    def rules(self) -> Iterator[Problem]:
        """Yield the columns that are to be two things at once."""
        for name in self.keys:
            if name == self.time:
                yield Problem("series", f"'{name}' is already under `time`", "name the column of the items")
        for name in self.known:
            if name in self.keys or name == self.time:
                yield Problem("known", f"'{name}' is known anyway", "leave it out")
