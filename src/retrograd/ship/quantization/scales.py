"""Scales: which integer represents which number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST_BIAS = 2**30  # in a 32-bit sum
HALVES = np.finfo(np.float16)


class Range(NamedTuple):
    """The range of a value, including 0, which must be exact because it is used for padding and by ReLU."""

    low: float = 0.0
    high: float = 0.0

    def wider(self, low: float, high: float) -> Range:
        """Return the range extended by further numbers."""
        return Range(min(self.low, float(low)), max(self.high, float(high)))

    @property
    def scale(self) -> np.float32:
        """The step from one unsigned 8-bit integer to the next."""
        step = np.float32((self.high - self.low) / 255)
        return step if step > 0 else np.float32(1)

    @property
    def zero(self) -> np.uint8:
        """The integer that represents 0."""
        return np.uint8(np.clip(round(-self.low / float(self.scale)), 0, 255))


class Integers(NamedTuple):
    """Weights as 8-bit integers, with `scales` [channels] along an axis: weight = integer * scale."""

    values: np.ndarray
    scales: np.ndarray
    axis: int


def integers(weight: np.ndarray, axis: int, bits: int, bias: np.ndarray | None = None, step: float = 1.0) -> Integers:
    """Return weights as integers, symmetric around 0, with a scale for each channel.

        integer = round(weight / scale), scale = max|weight| / (2^(bits - 1) - 1)

    A channel's scale is larger if its bias would not fit in 32 bits in units of scale times `step`, the scale of the
    input, and it is rounded up to a 16-bit number, in which a file stores it.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight.astype(np.float64)).max(others, initial=0)
    scales = largest / (2 ** (bits - 1) - 1)
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias.astype(np.float64)) / (LARGEST_BIAS * step))
    scales = _upward(np.where(scales > 0, scales, 1))
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    return Integers(np.rint(weight / scales.reshape(shape)).astype(np.int8), scales, axis)


def _upward(scales: np.ndarray) -> np.ndarray:
    """Return scales rounded up to 16-bit numbers, as float32, if all are in their normal range."""
    if scales.min() < HALVES.smallest_normal or scales.max() > HALVES.max:
        return scales.astype(np.float32)
    halves = scales.astype(np.float16)
    return np.where(halves < scales, np.nextafter(halves, HALVES.max), halves).astype(np.float32)


def halves(array: np.ndarray) -> np.ndarray | None:
    """Return an array in 16 bits, or None if the error exceeds their relative precision at the largest number."""
    with np.errstate(over="ignore"):
        near = array.astype(np.float16)
    apart = np.abs(near.astype(np.float64) - array).max(initial=0)
    return near if apart <= HALVES.eps * np.abs(array).max(initial=0) else None
