"""A sign of life between the ends of epochs: what the process does, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import takewhile
from typing import Any

import numpy as np

from retrograd.record.events import Phase, Progress

LEAST_SECONDS, MOST_SECONDS = 0.25, 2.0  # between two signs, and
SHARE = 1 / 240  # of the time so far: a day of them takes 5 MB


class Pulse:
    """Tells phases, and progress where no epoch has ended for a while.

    It looks at losses that are there already: dispatches and numbers are the same with it and without. When it tells is
    decided by the clock.
    """

    def __init__(
        self, tell: Callable[[Phase | Progress], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.tell, self.clock = tell, clock
        self.begun = self.last = self.due = clock()
        self.step = 0  # that was told last, or at which the run stood since
        self.phase = ""
        self._losses: list[tuple[int, Any]] = []  # of dispatches, with the step that each ends at

    def enter(self, phase: str) -> None:
        """Tell a phase if it is another one."""
        if phase != self.phase:
            self.phase = phase
            self.tell(Phase(phase))

    def dispatched(self, step: int, loss: Any) -> None:
        """Hear of a dispatch, which is on its way; it ends at `step`."""
        if self.phase != "training":  # the first one has been compiled
            self.enter("training")
            self._from(step - loss.size)
        self._losses.append((step, loss))
        self._look()

    def wait(self) -> None:
        """Wait for the dispatches one after the other, where all are waited for anyway."""
        for _, loss in list(self._losses):
            loss.block_until_ready()
            self._look()

    def _look(self) -> None:
        """Tell how far the dispatches are if it is time."""
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
        """Hear where the run stands: an epoch has ended and was told, or what came after that step is undone."""
        self._losses.clear()
        self._from(step)

    def _from(self, step: int) -> None:
        now = self.clock()
        self.step, self.last = step, now
        self.due = now + min(max(LEAST_SECONDS, SHARE * (now - self.begun)), MOST_SECONDS)
