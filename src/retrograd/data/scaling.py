"""Affine scaling of numbers, fitted on training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError

Finite = Annotated[float, Field(allow_inf_nan=False)]
CHUNK_NUMBERS = 1 << 20
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Scaling:
    """The affine map of each feature (last axis) that makes numbers small.

        y = (x - offset) / scale

    Shapes:  x [rows, ..., features] -> y, the same
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    offset: tuple[Finite, ...]
    scale: tuple[Positive, ...]

    def __post_init__(self) -> None:
        if len(self.offset) != len(self.scale):
            raise ValueError("offset and scale differ in length")

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled numbers, in float64."""
        return (np.asarray(x, np.float64) - np.array(self.offset)) / np.array(self.scale)

    def to_float32(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled numbers in float32, without holding a float64 copy of all of x."""
        y = np.empty(x.shape, np.float32)
        rows = max(1, CHUNK_NUMBERS // max(1, x[0].size if len(x) else 1))
        with np.errstate(over="ignore"):  # what overflows is infinite, which the caller looks for
            for start in range(0, len(x), rows):
                y[start : start + rows] = self.apply(x[start : start + rows])
        return y

    def undo(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers whose scaled form is y, in float64."""
        return np.asarray(y, np.float64) * np.array(self.scale) + np.array(self.offset)


def fit_scaling(x: np.ndarray, method: str, divisor: float = 1.0) -> Scaling:
    """Return the scaling of x [rows, ..., features]: `none`, `standard`, `minmax` (to [0, 1]) or `divide`.

    A constant feature is only shifted, so it becomes 0 and never NaN.
    """
    width = x.shape[-1]
    if method in ("none", "divide"):
        return Scaling((0.0,) * width, (divisor if method == "divide" else 1.0,) * width)
    x, axes = np.asarray(x, np.float64), tuple(range(x.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):  # found below, with words
        spread = np.ptp(x, axes)
        offset, scale = (x.mean(axes), x.std(axes)) if method == "standard" else (x.min(axes), spread)
    if not (np.isfinite(offset).all() and np.isfinite(scale).all()):
        raise DataError("numbers too large to be scaled", cure="divide them by a power of ten first")
    constant = (spread == 0) | (scale == 0)  # the rounded deviation of a constant need not be 0
    return Scaling(tuple(offset.tolist()), tuple(np.where(constant, 1.0, scale).tolist()))
