"""Decimal points in numbers as programs write them, which can be read without examining other cells."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

# only decimal points are allowed; whole numbers are too short for dates or codes and have no leading zeros
ORDINARY = r"^[+-]?(0|[1-9]\d{0,4}|\d{1,15}(\.\d*([eE][+-]?\d{1,2})?|[eE]-\d{1,2}))$"
GROUPED = r"^[+-]?\d{1,3}\.\d{3}$"  # a point that may separate thousands
FIRST = 1000  # number of cells examined before the whole column


class Points(NamedTuple):
    """Whether ordinary numbers contain points, and whether a cell shows that they are decimal points."""

    any: bool
    shown: bool

    @property
    def are_clear(self) -> bool:
        """Whether the numbers can be read in only one way."""
        return self.shown or not self.any


def points_of(cells: pl.Series) -> Points:
    """Return what cells of text that are all ordinary numbers show about their points."""
    for part in (cells.head(FIRST), cells):  # the first cells usually decide
        has_points = part.str.contains(".", literal=True)
        if (has_points & ~part.str.contains(GROUPED)).any():
            return Points(True, True)
    return Points(bool(has_points.any()), False)
