"""The rows by which a regression is judged: all except the few with extreme targets that outweigh all others."""

from __future__ import annotations

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.outliers import Outliers, outliers
from retrograd.diagnosis.catalogue import threshold

DOMINATED = threshold("D14", "share")


def dominating(column: np.ndarray) -> tuple[Outliers, float] | None:
    """Return a column's outliers and their share of its variance if that is at least half; else None.

    share = sum of (value - median)^2 over the outliers / the same sum over all values
    """
    extremes = outliers(column)
    if extremes is None:
        return None
    squares = (column - np.median(column)) ** 2
    share = float(squares[(column < extremes.low) | (column > extremes.high)].sum() / max(squares.sum(), 1e-300))
    return (extremes, share) if share >= DOMINATED else None


class UsualRows:
    """Selects the rows that count, by the range of a regression's training targets; in other tasks all rows count."""

    def __init__(self, dataset: Dataset) -> None:
        self.ranges: dict[int, tuple[float, float]] = {}
        if dataset.task == "regression":
            y = dataset.train["y"]
            columns = np.asarray(y, np.float64).reshape(len(y), -1).T
            by_column = {i: dominating(column) for i, column in enumerate(columns)}
            self.ranges = {
                i: (extremes[0].low, extremes[0].high) for i, extremes in by_column.items() if extremes is not None
            }

    def of(self, y: np.ndarray) -> np.ndarray:
        """Return whether each row counts, [rows], from its targets [rows, targets]."""
        usual = np.ones(len(y), bool)
        for i, (low, high) in self.ranges.items():
            width = high - low  # new rows may lie a little outside the training range
            usual &= (y.reshape(len(y), -1)[:, i] >= low - width) & (y.reshape(len(y), -1)[:, i] <= high + width)
        return usual
