"""How often to look closely: seldom enough that looking costs at most a few percent of the loop's time."""

from __future__ import annotations

import time
from collections import deque
from statistics import median

SHARE = 0.02  # of the loop's time that looks may take; the rest of the 5 % is for what is heard of every step
GROWTH = 1.5  # of the distance between looks, until the share is kept
FARTHEST = 4096  # turns


class Pace:
    """Counts turns of the loop (backward passes) and seconds."""

    def __init__(self) -> None:
        self.own = 0.0  # seconds inside the doctor's own code
        self.turns = self.looked = 0
        self.distance = 1.0
        self.next = 0
        self.seconds = 0.0
        self._looked: deque[float] = deque(maxlen=16)
        self._usual: deque[float] = deque(maxlen=64)
        self._begin = self._last = 0.0

    def start(self) -> None:
        """Start the clock."""
        self._begin = self._last = time.perf_counter()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = time.perf_counter() - self._begin

    def turn(self, looked: bool) -> None:
        """Count a turn that ends."""
        now = time.perf_counter()
        (self._looked if looked else self._usual).append(now - self._last)
        self._last = now
        self.turns += 1
        self.looked += looked

    def due(self) -> bool:
        """Return whether the next turn is to be looked at."""
        if self.turns < self.next:
            return False
        self.distance = min(max(self.distance * GROWTH, self.distance + 1), self.farthest())
        self.next = self.turns + round(self.distance)
        return True

    def farthest(self) -> float:
        """Return the distance of looks at which they take their share and no more."""
        return min(max(self.extra() / SHARE, 4.0), float(FARTHEST))

    def extra(self) -> float:
        """Return what a look costs, in usual turns."""
        if len(self._usual) < 3 or not self._looked:
            return 1.0
        usual = median(self._usual)
        return max(median(self._looked) - usual, 0.0) / max(usual, 1e-9)

    def cost(self) -> float:
        """Return the share of the loop's time that watching takes: measured own time, and looks beside usual turns."""
        elapsed = self.seconds or time.perf_counter() - self._begin
        usual = median(self._usual) if self._usual else 0.0
        in_looks = max(median(self._looked) - usual, 0.0) * self.looked if self._looked and self._usual else 0.0
        return min(1.0, max(self.own, in_looks) / max(elapsed, 1e-9))
