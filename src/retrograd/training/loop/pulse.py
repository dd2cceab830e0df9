"""Signs of life between the ends of epochs: what the process is doing, and how far it has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import numpy as np

from retrograd.record.events import Phase, Progress

LEAST_SECONDS, MOST_SECONDS = 0.25, 2.0  # bounds of the interval between two signs of life
SHARE = 1 / 240  # the interval as a share of the time so far; a day's events take 5 MB


class Pulse:
    """Reports phases, and progress when no epoch has ended for a while.

    It reads only losses that are already computed, so dispatches and numbers are the same with and without it. The
    clock decides when it reports.
    """

    def __init__(
        self, tell: Callable[[Phase | Progress], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.tell, self.clock = tell, clock
        self.begun = self.last = self.due = clock()
        self.step = 0  # last step reported or reached
        self.phase = ""
        self._losses: list[tuple[int, Any]] = []  # of dispatches, each with its last step

    def enter(self, phase: str) -> None:
        """Report a phase if it is new."""
        if phase != self.phase:
            self.phase = phase
            self.tell(Phase(phase))

    def dispatched(self, step: int, loss: Any) -> None:
        """Register a dispatch under way, whose last step is `step`."""
        if self.phase != "training":  # the first program has been compiled
            self.enter("training")
            self._from(step - loss.size)
        self._losses.append((step, loss))
        self._look()

    def wait(self) -> None:
        """Wait for the dispatches one by one, at a point where all are waited for anyway."""
        for _, loss in list(self._losses):
            loss.block_until_ready()
            self._look()

    def _look(self) -> None:
        """Report how far the dispatches have come, if a report is due."""
        now = self.clock()
        if now < self.due:
            return
        ready = list(takewhile(lambda pair: pair[1].is_ready(), self._losses))
        if not ready:
            return
        self._losses = self._losses[len(ready) :]
        losses = np.concatenate([np.atleast_1d(np.asarray(loss)) for _, loss in ready])
        last = ready[-1][0]
        self.tell(Progress(last, float(np.mean(losses)), (last - self.step) / (now - self.last)))
        self._from(last)

    def stands(self, step: int) -> None:
        """Set the current step: an epoch has ended and was reported, or the steps after it were undone."""
        self._losses.clear()
        self._from(step)

    def _from(self, step: int) -> None:
        now = self.clock()
        self.step, self.last = step, now
        self.due = now + min(max(LEAST_SECONDS, SHARE * (now - self.begun)), MOST_SECONDS)
