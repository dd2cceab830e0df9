"""A series of numbers over the steps of a run of any length, in bounded memory."""

from __future__ import annotations

import math

FALL = 0.05  # share of the first mean that counts as a decrease
MOST = 256  # maximum number of buckets; when all are full, neighbours are merged


class Series:
    """The means of consecutive buckets of equal size, and the number of values that were not finite."""

    def __init__(self) -> None:
        self.count = 0
        self.nonfinite = 0
        self.first_nonfinite = -1  # the turn
        self.width = 1
        self.means: list[float] = []
        self._sum, self._held = 0.0, 0

    def add(self, value: float, turn: int) -> None:
        """Add the next number; numbers that are not finite are counted separately."""
        self.count += 1
        if not math.isfinite(value):
            self.nonfinite += 1
            if self.first_nonfinite < 0:
                self.first_nonfinite = turn
            return
        self._sum += value
        self._held += 1
        if self._held == self.width:
            self.means.append(self._sum / self._held)
            self._sum, self._held = 0.0, 0
        if len(self.means) >= MOST:
            self.means = [(a + b) / 2 for a, b in zip(self.means[::2], self.means[1::2], strict=True)]
            self.width *= 2

    def start(self) -> float:
        """Return the first mean."""
        return self.means[0] if self.means else math.nan

    def part(self, begin: float, end: float) -> float:
        """Return the mean between two points of the run, given as shares of its length."""
        if not self.means:
            return math.nan
        low = min(int(begin * len(self.means)), len(self.means) - 1)
        chosen = self.means[low : max(low + 1, round(end * len(self.means)))]
        return math.fsum(chosen) / len(chosen)

    def fallen(self) -> bool:
        """Return whether the last tenth is clearly below the first mean."""
        return self.end() < self.start() - FALL * abs(self.start())

    def end(self) -> float:
        """Return the mean of the last tenth."""
        return self.part(0.9, 1.0)  # the last tenth: single minibatches are noise
