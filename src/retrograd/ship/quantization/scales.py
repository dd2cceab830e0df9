"""Which integer stands for which number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST_BIAS = 2**30  # of a sum of 32 bits
HALVES = np.finfo(np.float16)


class Range(NamedTuple):
    """The numbers that a value took, 0 among them: 0 must be exact, it fills margins and stands below a ReLU."""

    low: float = 0.0
    high: float = 0.0

    def wider(self, low: float, high: float) -> Range:
        """Return the range with further numbers in it."""
        return Range(min(self.low, float(low)), max(self.high, float(high)))

    @property
    def scale(self) -> np.float32:
        """The step from one unsigned integer of 8 bits to the next."""
        step = np.float32((self.high - self.low) / 255)
        return step if step > 0 else np.float32(1)

    @property
    def zero(self) -> np.uint8:
        """The integer that stands for 0."""
        return np.uint8(np.clip(round(-self.low / float(self.scale)), 0, 255))


class Integers(NamedTuple):
    """Weights as integers of 8 bits; `scales` [channels] of an axis: weight = integer * scale."""

    values: np.ndarray
    scales: np.ndarray
    axis: int


def integers(weight: np.ndarray, axis: int, bits: int, bias: np.ndarray | None = None, step: float = 1.0) -> Integers:
    """Return weights as integers, symmetric around 0, each channel in its own scale.

        integer = round(weight / scale), scale = max|weight| / (2^(bits - 1) - 1)

    A channel's scale is wider where its bias would not fit into 32 bits in units of scale times `step`, the input's;
    and up to the next number of 16 bits, in which a file then holds it.
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
    """Return the next numbers of 16 bits where all have one of full precision, as float32."""
    if scales.min() < HALVES.smallest_normal or scales.max() > HALVES.max:
        return scales.astype(np.float32)
    halves = scales.astype(np.float16)
    return np.where(halves < scales, np.nextafter(halves, HALVES.max), halves).astype(np.float32)


def halves(array: np.ndarray) -> np.ndarray | None:
    """Return an array in 16 bits, or None where that changes it by more than their last bit does its largest number."""
    with np.errstate(over="ignore"):
        near = array.astype(np.float16)
    apart = np.abs(near.astype(np.float64) - array).max(initial=0)
    return near if apart <= HALVES.eps * np.abs(array).max(initial=0) else None
