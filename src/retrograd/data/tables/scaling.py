"""Scaling of numbers, fitted on training rows: an affine map, of the logarithm if they span orders of magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError
from retrograd.data.cells.precision import floats

Finite = Annotated[float, Field(allow_inf_nan=False)]
CHUNK_NUMBERS = 1 << 20
SPAN, SKEW = 100.0, 4.0  # ratio of the 1 % and 99 % quantiles, and of their distances from the median: see `spans`
BELOW = 0.1  # of the smallest positive training value: new rows may lie a little below it
NORMAL_QUARTILES = 1.3489795  # distance between the quartiles of a normal distribution, in standard deviations
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
MOST_DECIMALS = 320  # of a float64


@dataclass(frozen=True)
class Scaling:
    """A map for each feature (last axis) that makes numbers small.

        y = (x - offset) / scale, limited to [-clip, clip]
        y = (log(max(x, floor)) - offset) / scale, if a feature's floor is above 0

    Shapes:  x [rows, ..., features] -> y, the same
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    offset: tuple[Finite, ...]
    scale: tuple[Positive, ...]
    clip: Positive | None = None
    floor: tuple[NonNegative, ...] = ()  # empty without a logarithmic feature

    def __post_init__(self) -> None:
        if len(self.offset) != len(self.scale) or len(self.floor) not in (0, len(self.scale)):
            raise ValueError("offset, scale and floor differ in length")

    @property
    def is_affine(self) -> bool:
        """Whether no feature is logarithmic."""
        return not any(self.floor)

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled numbers, in float64."""
        y: np.ndarray = (logarithms(np.asarray(x, np.float64), self.floor) - np.array(self.offset)) / np.array(
            self.scale
        )
        return y if self.clip is None else np.clip(y, -self.clip, self.clip)

    def to_floats(self, x: np.ndarray) -> np.ndarray:
        """Return the scaled numbers in the configured precision, without a float64 copy of all of x."""
        y = np.empty(x.shape, floats())
        rows = max(1, CHUNK_NUMBERS // max(1, x[0].size if len(x) else 1))
        with np.errstate(over="ignore"):  # overflow gives infinity, which the caller checks for
            for start in range(0, len(x), rows):
                y[start : start + rows] = self.apply(x[start : start + rows])
        return y

    def undo(self, y: np.ndarray) -> np.ndarray:
        """Return the numbers whose scaled form is y, in float64."""
        x: np.ndarray = np.asarray(y, np.float64) * np.array(self.scale) + np.array(self.offset)
        if self.is_affine:
            return x
        with np.errstate(over="ignore"):  # infinity is right
            return np.where(np.array(self.floor) > 0, np.exp(x), x)


def logarithms(x: np.ndarray, floor: tuple[float, ...]) -> np.ndarray:
    """Return x with logarithms of the features that have a floor above 0."""
    if not any(floor):
        return x
    low = np.array(floor)
    return np.where(low > 0, np.log(np.maximum(x, np.where(low > 0, low, 1.0))), x)


def spans(x: np.ndarray) -> np.ndarray:
    """Return which features [features] of x [rows, ..., features] are better represented by their logarithm.

    No value is negative, the 1 % and 99 % quantiles of the positive ones differ by a factor of at least 100, and the
    upper half of that range is at least 4 times as wide as the lower one. A lognormal quantity whose logarithm has a
    standard deviation of 1 is such a feature, as is an exponential one; a uniform or a normal one is not.
    """
    flat = np.asarray(x, np.float64).reshape(-1, x.shape[-1])
    known = np.where(np.isfinite(flat), flat, np.nan)
    wide = np.zeros(flat.shape[1], bool)
    for i, column in enumerate(known.T):
        positive = column[column > 0]
        if len(positive) > len(column) / 2 and not (column < 0).any():
            low, middle, high = np.quantile(positive, (0.01, 0.5, 0.99))
            wide[i] = high >= SPAN * low and high - middle >= SKEW * (middle - low)
    return wide


def fit_scaling(x: np.ndarray, method: str, divisor: float = 1.0, clip: float | None = None) -> Scaling:
    """Return the scaling of x [rows, ..., features] by a method.

    standard: by mean and standard deviation. log: the same, of the logarithm for features that suit it (see `spans`);
    anything below a tenth of the smallest positive training value counts as that tenth. robust: by the median and the
    standard deviation of a normal sample with the same quartiles. minmax: to [0, 1]. divide: by a number. none: not at
    all. A constant feature is only shifted, so it becomes 0 and never NaN.
    """
    width = x.shape[-1]
    floor: tuple[float, ...] = ()
    if method == "log" and (logged := spans(x)).any():
        flat = np.asarray(x, np.float64).reshape(-1, width)
        floor = tuple(float(c[c > 0].min()) * BELOW if taken else 0.0 for c, taken in zip(flat.T, logged, strict=True))
        x = logarithms(np.asarray(x, np.float64), floor)
    if method in ("none", "divide"):
        return Scaling((0.0,) * width, (divisor if method == "divide" else 1.0,) * width, clip)
    x, axes = np.asarray(x, np.float64), tuple(range(x.ndim - 1))
    with np.errstate(over="ignore", invalid="ignore"):  # checked below
        spread = np.ptp(x, axes)
        if method == "robust":
            offset, scale = _robust(x, axes)
        else:
            offset, scale = (x.mean(axes), x.std(axes)) if method in ("standard", "log") else (x.min(axes), spread)
    if not (np.isfinite(offset).all() and np.isfinite(scale).all()):
        raise DataError("numbers too large to scale", cure="divide them by a power of ten first")
    constant = (spread == 0) | (scale == 0)  # rounding may make the deviation of a constant nonzero
    return Scaling(tuple(offset.tolist()), tuple(np.where(constant, 1.0, scale).tolist()), clip, floor)


def _robust(x: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return median and quartile range / 1.349, or the standard deviation if more than half of the values are equal."""
    low, middle, high = np.quantile(x, (0.25, 0.5, 0.75), axes)
    return middle, np.where(high > low, (high - low) / NORMAL_QUARTILES, x.std(axes))


def shortest(values: np.ndarray, scaling: Scaling | None = None) -> np.ndarray:
    """Return the numbers with the fewest digits that give the same float32, as float64 that print with these digits.

    Unscaled numbers are rounded so that `scaling` gives the float32 that they came from: with a large offset, that
    takes more digits than a float32 has.

    Shapes:  values [rows, targets] with a scaling, else any -> the same
    """
    values = np.asarray(values)
    if floats() is np.float64:  # all their digits matter
        return values.astype(np.float64)
    if scaling is None or ((set(scaling.offset), set(scaling.scale)) == ({0.0}, {1.0}) and scaling.is_affine):
        text = pl.Series(values.astype(np.float32).reshape(-1)).cast(pl.String)
        return text.cast(pl.Float64).to_numpy().reshape(values.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        y = np.abs(scaling.apply(values).astype(np.float32))
        apart = np.spacing(np.nextafter(y, np.float32(0))).astype(np.float64) * np.array(scaling.scale)
        apart = apart if scaling.is_affine else np.where(np.array(scaling.floor) > 0, apart * np.abs(values), apart)
        decimals = np.nan_to_num(np.ceil(-np.log10(apart)), nan=0.0).clip(-MOST_DECIMALS, MOST_DECIMALS)
    pairs = zip(values.ravel().tolist(), decimals.astype(int).ravel().tolist(), strict=True)
    return np.array([round(value, count) for value, count in pairs], np.float64).reshape(values.shape)
