"""Numbers that are written as programs write them: nothing else has to be looked at to know what they mean."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

# No notation but decimal points; whole numbers so short that they are no dates or codes, and without leading zeros
ORDINARY = r"^[+-]?(0|[1-9]\d{0,4}|\d{1,15}(\.\d*([eE][+-]?\d{1,2})?|[eE]-\d{1,2}))$"
GROUPED = r"^[+-]?\d{1,3}\.\d{3}$"  # a point that may stand between thousands
FIRST = 1000  # cells that are looked at before all


class Points(NamedTuple):
    """Whether ordinary numbers have points, and whether a cell shows that one does not stand between thousands."""

    any: bool
    shown: bool

    @property
    def are_clear(self) -> bool:
        """Whether the numbers can be read in one way only."""
        return self.shown or not self.any


def points_of(cells: pl.Series) -> Points:
    """Return what cells of text, all of them ordinary numbers, say about their points."""
    for part in (cells.head(FIRST), cells):  # the first ones mostly do
        has_points = part.str.contains(".", literal=True)
        if (has_points & ~part.str.contains(GROUPED)).any():
            return Points(True, True)
    return Points(bool(has_points.any()), False)
