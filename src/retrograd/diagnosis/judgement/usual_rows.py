"""The rows that judge a regression: all except the few with a wild target that outweighs all others."""

from __future__ import annotations

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.outliers import Outliers, outliers
from retrograd.diagnosis.catalogue import threshold

DOMINATED = threshold("D14", "share")


def dominating(column: np.ndarray) -> tuple[Outliers, float] | None:
    """Return the outliers of a column that make up at least half of its variance, and that share; else None.

    share = sum of (value - median)^2 over the outliers / the same sum over all values
    """
    far = outliers(column)
    if far is None:
        return None
    away = (column - np.median(column)) ** 2
    share = float(away[(column < far.low) | (column > far.high)].sum() / max(away.sum(), 1e-300))
    return (far, share) if share >= DOMINATED else None


class UsualRows:
    """Selects the rows that count, by the training targets of a regression; in other tasks all rows count."""

    def __init__(self, dataset: Dataset) -> None:
        self.ranges: dict[int, tuple[float, float]] = {}
        if dataset.task == "regression":
            y = dataset.train["y"]
            columns = np.asarray(y, np.float64).reshape(len(y), -1).T
            by_column = {i: dominating(column) for i, column in enumerate(columns)}
            self.ranges = {i: (each[0].low, each[0].high) for i, each in by_column.items() if each is not None}

    def of(self, y: np.ndarray) -> np.ndarray:
        """Return whether each row counts, [rows], by its targets [rows, targets]."""
        usual = np.ones(len(y), bool)
        for i, (low, high) in self.ranges.items():
            width = high - low  # new rows may lie a little outside the training range
            usual &= (y.reshape(len(y), -1)[:, i] >= low - width) & (y.reshape(len(y), -1)[:, i] <= high + width)
        return usual
