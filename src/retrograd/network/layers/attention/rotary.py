"""Rotary positions: queries and keys are rotated by an angle that grows with their position in the sequence."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

SLOWEST = 10000.0  # pair i of d/2 rotates by SLOWEST^(-2i/d) per step: from one radian down to a ten-thousandth


class Stretched(NamedTuple):
    """Stretching of only the slow pairs: those that rotate less than `low` times within `length` steps are stretched by
    the full factor, those that rotate more than `high` times not at all.
    """

    factor: float
    low: float
    high: float
    length: int


class Turn(NamedTuple):
    """How fast pairs rotate (pair i by base^(-2i/d) per step), the share of a head, and the divisor of positions."""

    base: float = SLOWEST
    share: float = 1.0
    stretch: float = 1.0
    slow: Stretched | None = None

    def width(self, width: int) -> int:
        """Return the number of leading entries of a head that rotate, an even number."""
        return 2 * int(self.share * width / 2)

    def angles(self, places: np.ndarray, width: int) -> np.ndarray:
        """Return the rotation angle of each pair of a head at these positions, [positions, pairs]."""
        half = self.width(width) // 2
        speed = self.base ** (-np.arange(half) / half)
        if self.slow is not None:
            turns = self.slow.length * speed / (2 * np.pi)
            fast = np.clip((turns - self.slow.low) / (self.slow.high - self.slow.low), 0, 1)
            speed = speed * (fast + (1 - fast) / self.slow.factor)
        return places[:, None] / self.stretch * speed


def rotate(x: Array, back: bool = False, turn: Turn = Turn()) -> Array:  # noqa: B008 (it is a constant)
    """Rotate the pair (x_i, x_(i + d/2)) at position t by the angle t · 10000^(-2i/d), or `back`.

    The product of a rotated query and a rotated key depends only on the distance of their positions. The adjoint of
    rotating is rotating back. Shapes: x [..., time, width], an even width. See: Su et al. 2021, arXiv:2104.09864;
    paired entries are half the width apart, as in LLaMA (the paper: adjacent, the same up to a permutation of weights).
    """
    angle = turn.angles(np.arange(x.shape[-2]), x.shape[-1])
    return turned(x, jnp.asarray(np.cos(angle), x.dtype), jnp.asarray(np.sin(-angle if back else angle), x.dtype))


def turned(x: Array, cos: Array, sin: Array) -> Array:
    """Return x [..., time, width] with its pairs rotated by the angles of these cosines and sines [time, pairs]."""
    half = cos.shape[-1]
    cos, sin = (part.reshape((1,) * (x.ndim - 2) + part.shape) for part in (cos, sin))
    first, second, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos, rest], -1)
