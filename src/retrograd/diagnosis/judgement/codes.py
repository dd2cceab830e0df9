"""Numbers that look like names: what their values explain of the answers, and what their order explains."""

from __future__ import annotations

import numpy as np

from retrograd.data.dataset import Dataset
from retrograd.data.tables.columns import NumberColumn
from retrograd.data.tables.inputs import TableInputs
from retrograd.diagnosis.catalogue import threshold

GAIN = threshold("D16", "gain")
FEWEST, ROWS = 3, 3  # different values, and rows of each on average: two values are a line
DEGREE = 3  # a polynomial that bends twice: what it cannot follow is hardly a quantity's effect
WHOLE = 1e-3  # from a whole number, which float32 and a scaling may leave


def coded(dataset: Dataset, x: np.ndarray | None, y: np.ndarray | None) -> dict[str, tuple[float, float]]:
    """Return the number columns that look like codes, and what their values and a cubic of them explain.

    x [rows, features]; y, class numbers [rows] or quantities [rows, targets]
    """
    inputs = dataset.preprocessing.inputs
    if not isinstance(inputs, TableInputs) or x is None or y is None:
        return {}
    answers = np.eye(int(y.max()) + 1)[y] if y.ndim == 1 else y
    total = float(((answers - answers.mean(0)) ** 2).sum())
    names = {}
    for column in inputs.columns if total > 0 else ():
        if not isinstance(column, NumberColumn):
            continue
        cells = x[:, inputs.features.index(column.features[0])]
        values, group = np.unique(cells, return_inverse=True)
        own = column.scaling.undo(values[:, None])
        if not FEWEST <= len(values) <= len(cells) / ROWS or np.abs(own - own.round()).max() > WHOLE:
            continue
        explained = _by_value(group.reshape(-1), answers, total), _by_order(cells, answers, total)
        if explained[0] - explained[1] > GAIN:
            names[column.name] = explained
    return names


def _by_value(group: np.ndarray, answers: np.ndarray, total: float) -> float:
    counts = np.bincount(group)
    means = np.stack([np.bincount(group, column) for column in answers.T], 1) / counts[:, None]
    return _adjusted(float(((answers - means[group]) ** 2).sum()), total, len(group), len(counts))


def _by_order(cells: np.ndarray, answers: np.ndarray, total: float) -> float:
    spread = (cells - cells.mean()) / cells.std()
    powers = np.vander(spread, DEGREE + 1)
    left = answers - powers @ np.linalg.lstsq(powers, answers, rcond=None)[0]
    return _adjusted(float((left**2).sum()), total, len(cells), DEGREE + 1)


def _adjusted(left: float, total: float, rows: int, numbers: int) -> float:
    """Return the share of the variance that some fitted numbers explain beyond what as many do by chance."""
    return 1 - left / total * (rows - 1) / max(rows - numbers, 1)
