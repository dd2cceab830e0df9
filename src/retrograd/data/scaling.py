"""Affine scaling of numbers, fitted on training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError

Finite = Annotated[float, Field(allow_inf_nan=False)]
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

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled numbers, in float64."""
        return (np.asarray(x, np.float64) - np.array(self.offset)) / np.array(self.scale)

    def undo(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers whose scaled form is y, in float64."""
        return np.asarray(y, np.float64) * np.array(self.scale) + np.array(self.offset)


def fit_scaling(x: np.ndarray, method: str, divisor: float = 1.0) -> Scaling:
    """Return the scaling of x [rows, ..., features]: `none`, `standard`, `minmax` (to [0, 1]) or `divide`.

    A constant feature is only shifted, so it becomes 0 and never NaN.
    """
    x = np.asarray(x, np.float64)
    axes, width = tuple(range(x.ndim - 1)), x.shape[-1]
    offset, scale = np.zeros(width), np.full(width, divisor if method == "divide" else 1.0)
    with np.errstate(over="ignore", invalid="ignore"):  # found below, with words
        if method == "standard":
            offset, scale = x.mean(axes), x.std(axes)
        elif method == "minmax":
            offset, scale = x.min(axes), np.ptp(x, axes)
    if not (np.isfinite(offset).all() and np.isfinite(scale).all()):
        raise DataError("numbers too large to be scaled", cure="divide them by a power of ten first")
    if method in ("standard", "minmax"):
        constant = (np.ptp(x, axes) == 0) | (scale == 0)  # the rounded deviation of a constant need not be 0
        scale = np.where(constant, 1.0, scale)
    return Scaling(tuple(offset.tolist()), tuple(scale.tolist()))
