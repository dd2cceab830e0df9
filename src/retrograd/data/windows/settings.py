"""The `windows:` section: how a table ordered by time becomes sequences."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.base.annotations import describing
from retrograd.base.schema import PositiveInt, Settings


@dataclass(frozen=True)
class WindowSettings(Settings):
    """How windows are laid over the rows of a table.

    The `history` rows of a window are the input; the target columns of the `horizon` rows after them are what is
    predicted. `time` names the column by which rows are sorted (default: the order of the file); it is no feature.
    Target columns are features too, unless `features:` leaves them out. The rows are split by time first and windows
    are laid within each part, so that no row is in two parts.
    """

    history: PositiveInt
    horizon: PositiveInt = 1
    stride: PositiveInt = 1  # rows from one window to the next
    time: str | None = None

    words = describing(
        history=("rows that the network sees", "sees further back; slower", "faster, sees less"),
        horizon=(
            "rows that are predicted",
            "looks further ahead, which is harder",
            "nearer, easier",
            "1: the next row",
        ),
        stride=(
            "rows from one window to the next",
            "fewer windows, faster epochs",
            "more windows, much alike",
            "1: all",
        ),
        time=("the column by which rows are sorted", "", "", "the order of the file"),
    )
