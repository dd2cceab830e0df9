"""Numbers with no more digits than a float32 has to say."""

from __future__ import annotations

import numpy as np
import polars as pl

from retrograd.data.cells.floats import floats
from retrograd.data.tables.scaling import Scaling

MOST_DECIMALS = 320  # of a float64


def shortest(values: np.ndarray, scaling: Scaling | None = None) -> np.ndarray:
    """Return the numbers with the fewest digits that give the same float32, as float64 that print so.

    Numbers that were scaled back are rounded so that `scaling` leads to the float32 that they came from: with a large
    offset that takes more digits than a float32 has itself.

    Shapes:  values [rows, targets] with a scaling, else any -> the same
    """
    values = np.asarray(values)
    if floats() is np.float64:  # all its digits count
        return values.astype(np.float64)
    if scaling is None or (set(scaling.offset), set(scaling.scale)) == ({0.0}, {1.0}):
        text = pl.Series(values.astype(np.float32).reshape(-1)).cast(pl.String)
        return text.cast(pl.Float64).to_numpy().reshape(values.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.abs(scaling.apply(values).astype(np.float32))
        apart = np.spacing(np.nextafter(y, np.float32(0))).astype(np.float64) * np.array(scaling.scale)
        decimals = np.nan_to_num(np.ceil(-np.log10(apart)), nan=0.0).clip(-MOST_DECIMALS, MOST_DECIMALS)
    each = zip(values.ravel().tolist(), decimals.astype(int).ravel().tolist(), strict=True)
    return np.array([round(value, count) for value, count in each], np.float64).reshape(values.shape)
