"""The best weights so far, saved during training: what remains of a run that is killed or loses power."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

from retrograd.base.errors import RetrogradError, RetrogradWarning
from retrograd.network.network import Variables
from retrograd.record.events import Epoch

SECONDS = 10.0  # between two writes, and before the first one: a shorter run writes at its end only
SHARE = 0.01  # largest share of the time spent writing


class Keeper:
    """Writes the best weights at the end of an epoch, if they are new and the last write is long enough ago.

    The clock decides when, which changes no number of the run. A failure is reported once and does not end the run.
    """

    def __init__(
        self, write: Callable[[Variables, Epoch], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.write, self.clock = write, clock
        self.due = clock() + SECONDS
        self.written = 0  # epoch of the weights last written
        self._has_failed = False

    def __call__(self, variables: Callable[[], Variables], best: Epoch) -> None:
        """Write the weights of the best epoch if a write is due."""
        begin = self.clock()
        if best.epoch == self.written or begin < self.due:
            return
        try:
            self.write(variables(), best)
            self.written = best.epoch
        except RetrogradError as error:
            if not self._has_failed:
                warnings.warn(f"the best weights so far were not saved: {error}", RetrogradWarning, stacklevel=2)
            self._has_failed = True
        end = self.clock()
        self.due = end + max(SECONDS, (end - begin) / SHARE)
