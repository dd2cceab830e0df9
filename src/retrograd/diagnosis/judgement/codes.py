"""Number columns that look like codes: how much of the answers their values explain, and how much their order does."""

from __future__ import annotations

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.columns import NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.diagnosis.catalogue import threshold

GAIN = threshold("D16", "gain")
FEWEST, ROWS = 3, 3  # minimum number of distinct values, and of rows per value: a line fits any two values
DEGREE = 3  # a polynomial that bends twice: an effect that it cannot follow is hardly that of a quantity
WHOLE = 1e-3  # tolerance for a whole number after float32 rounding and scaling


def coded(dataset: Dataset, x: np.ndarray | None, y: np.ndarray | None) -> dict[str, tuple[float, float]]:
    """Return the number columns that look like codes, with the variance that their values and a cubic of them explain.

    x [rows, features]; y: class numbers [rows] or quantities [rows, targets]
    """
    inputs = dataset.preprocessing.inputs
    if not isinstance(inputs, TableInputs) or x is None or y is None:
        return {}
    answers = np.eye(int(y.max()) + 1)[y] if y.ndim == 1 else y
    total = float(((answers - answers.mean(0)) ** 2).sum())
    explained_by_column = {}
    for column in inputs.columns if total > 0 else ():
        if not isinstance(column, NumberColumn):
            continue
        cells = x[:, inputs.features.index(column.features[0])]
        values, group = np.unique(cells, return_inverse=True)
        raw = column.scaling.undo(values[:, None])
        if not FEWEST <= len(values) <= len(cells) / ROWS or np.abs(raw - raw.round()).max() > WHOLE:
            continue
        shares = _by_value(group.reshape(-1), answers, total), _by_order(cells, answers, total)
        if shares[0] - shares[1] > GAIN:
            explained_by_column[column.name] = shares
    return explained_by_column


def _by_value(group: np.ndarray, answers: np.ndarray, total: float) -> float:
    counts = np.bincount(group)
    means = np.stack([np.bincount(group, column) for column in answers.T], 1) / counts[:, None]
    return _adjusted(float(((answers - means[group]) ** 2).sum()), total, len(group), len(counts))


def _by_order(cells: np.ndarray, answers: np.ndarray, total: float) -> float:
    standardised = (cells - cells.mean()) / cells.std()
    powers = np.vander(standardised, DEGREE + 1)
    residuals = answers - powers @ np.linalg.lstsq(powers, answers, rcond=None)[0]
    return _adjusted(float((residuals**2).sum()), total, len(cells), DEGREE + 1)


def _adjusted(residual: float, total: float, rows: int, numbers: int) -> float:
    """Return the adjusted R²: the share of the variance explained beyond what as many random numbers would explain."""
    return 1 - residual / total * (rows - 1) / max(rows - numbers, 1)
