"""How often to look closely: seldom enough that looking costs at most a few percent of the loop's time."""

from __future__ import annotations

import math
import time
from collections import deque
from statistics import median

SHARE = 0.01  # of the loop's time that looks may take, as it is measured; what they leave in the caches is more
GROWTH = 3  # of the run, in which there is a look at any price
NEAREST = 4  # turns from look to look


class Pace:
    """Seconds of the turns of a loop (its backward passes) that are looked at, and of the others.

    Seconds are those of the processor in this thread: waiting for data, or for other programs, is no work of the loop.
    """

    def __init__(self) -> None:
        self.looked = 0  # turns
        self.next = 0
        self.seconds = 0.0
        self._looked: deque[float] = deque(maxlen=16)  # seconds of a turn
        self._usual: deque[float] = deque(maxlen=64)
        self._begin = self._last = 0.0
        self._turn = 0  # at the end of the last stretch

    def start(self) -> None:
        """Start the clock."""
        self._begin = self._last = time.thread_time()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = time.thread_time() - self._begin

    def lap(self, turn: int, looked: bool) -> None:
        """End a stretch of turns of one kind."""
        now, turns = time.thread_time(), turn - self._turn
        (self._looked if looked else self._usual).append((now - self._last) / turns)
        self._last, self._turn = now, turn
        if looked:
            self.looked += turns

    def plan(self, turn: int, more: int) -> None:
        """Plan the next look, of so many turns: when the share pays for it, or when the run is three times as long."""
        paid = math.ceil((self.looked + more) * self.extra() / SHARE)
        self.next = min(GROWTH * turn, max(turn + NEAREST, paid))

    def extra(self) -> float:
        """Return what looking at a turn costs, in usual turns."""
        usual = median(self._usual) if self._usual else 0.0
        return self._dearer() / usual if usual > 0 else 1.0

    def _dearer(self) -> float:
        if not self._looked or not self._usual:
            return 0.0
        return max(median(self._looked) - median(self._usual), 0.0)

    def cost(self) -> float:
        """Return the share of the loop's time that looks take."""
        elapsed = self.seconds or time.thread_time() - self._begin
        return min(1.0, self._dearer() * self.looked / max(elapsed, 1e-9))
