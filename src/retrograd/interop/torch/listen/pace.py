"""How often to inspect: rarely enough that inspections cost at most a few percent of the loop's time."""

from __future__ import annotations

import math
import time
from collections import deque
from statistics import median

SHARE = 0.01  # of the loop's time that inspections may take as measured; their effect on caches adds to that
GROWTH = 3  # when the run has grown by this factor, there is an inspection at any cost
NEAREST = 4  # minimum number of turns between inspections


class Pace:
    """The seconds of inspected turns of a loop (its backward passes), and of all others.

    Seconds are processor time of this thread: waiting for data or for other programs does not count.
    """

    def __init__(self) -> None:
        self.looked = 0  # number of inspected turns
        self.next = 0  # turn of the next inspection
        self.seconds = 0.0
        self._looked: deque[float] = deque(maxlen=16)  # seconds per inspected turn
        self._usual: deque[float] = deque(maxlen=64)
        self._begin = self._last = 0.0
        self._turn = 0  # at the end of the last lap

    def start(self) -> None:
        """Start the clock."""
        self._begin = self._last = time.thread_time()

    def stop(self) -> None:
        """Stop the clock."""
        self.seconds = time.thread_time() - self._begin

    def lap(self, turn: int, looked: bool) -> None:
        """End a lap of turns of one kind."""
        now, turns = time.thread_time(), turn - self._turn
        (self._looked if looked else self._usual).append((now - self._last) / turns)
        self._last, self._turn = now, turn
        if looked:
            self.looked += turns

    def plan(self, turn: int, more: int) -> None:
        """Plan the next inspection, of `more` turns: when SHARE allows it, or when the run is three times as long."""
        affordable = math.ceil((self.looked + more) * self.extra() / SHARE)
        self.next = min(GROWTH * turn, max(turn + NEAREST, affordable))

    def extra(self) -> float:
        """Return the cost of inspecting a turn, in usual turns."""
        usual = median(self._usual) if self._usual else 0.0
        return self._extra_seconds() / usual if usual > 0 else 1.0

    def _extra_seconds(self) -> float:
        if not self._looked or not self._usual:
            return 0.0
        return max(median(self._looked) - median(self._usual), 0.0)

    def cost(self) -> float:
        """Return the share of the loop's time that inspections take."""
        elapsed = self.seconds or time.thread_time() - self._begin
        return min(1.0, self._extra_seconds() * self.looked / max(elapsed, 1e-9))
