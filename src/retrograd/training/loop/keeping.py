"""The best weights so far, on disk while training goes on: what a run leaves that is killed, or loses its power."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from retrograd.base.errors import RetrogradError, RetrogradWarning
from retrograd.network.network import Variables
from retrograd.record.events import Epoch

SECONDS = 10.0  # between two writings, and before the first one: a shorter run writes at its end only
SHARE = 0.01  # of the time, that writing may take


class Keeper:
    """Writes the best weights at the end of an epoch, if they are new and the last writing is long enough ago.

    The clock decides when, which changes no number of the run. A failure is told once and is not worth the run.
    """

    def __init__(
        self, write: Callable[[Variables, Epoch], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.write, self.clock = write, clock
        self.due = clock() + SECONDS
        self.written = 0  # the epoch
        self._has_failed = False

    def __call__(self, variables: Callable[[], Variables], best: Epoch) -> None:
        """Write the weights of the best epoch if it is time."""
        begin = self.clock()
        if best.epoch == self.written or begin < self.due:
            return
        try:
            self.write(variables(), best)
            self.written = best.epoch
        except RetrogradError as error:
            if not self._has_failed:
                warnings.warn(f"the best weights so far were not kept: {error}", RetrogradWarning, stacklevel=2)
            self._has_failed = True
        end = self.clock()
        self.due = end + max(SECONDS, (end - begin) / SHARE)
