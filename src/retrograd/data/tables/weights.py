"""Sample weights: how much each row counts in the loss."""

from __future__ import annotations

import numpy as np

from retrograd.base.errors import DataError, ShapeError
from retrograd.data.cells.floats import floats


def checked_weights(weights: np.ndarray, where: str) -> np.ndarray:
    """Return weights as float32 [rows]; a negative one, or no positive one at all, is a DataError."""
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.ndim != 1:
        raise ShapeError(f"sample_weight: expected (rows,), got {weights.shape}", where=where)
    if (weights < 0).any():
        row = int(np.argmax(weights < 0))
        raise DataError(f"sample_weight: row {row + 1} has the negative weight {weights[row]:g}", where=where)
    if not weights.any():
        raise DataError("sample_weight: every weight is 0, so nothing would be learned", where=where)
    return weights.astype(floats())
