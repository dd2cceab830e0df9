"""Saving a run's state at intervals: captured between two stretches, written by a thread while training continues."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Self

from retrograd.base.errors import RetrogradError, RetrogradWarning
from retrograd.training.loop.loop import Moment
from retrograd.training.loop.saved import Saved

SHARE = 0.01  # largest share of the time spent saving


class Saver:
    """Saves a run's state every `seconds` seconds, and when it ends or is interrupted.

    `job` is called between two stretches and returns what the thread runs. The clock decides when, which changes no
    number of the run. A disk failure is reported once, at the next stretch, and does not end the run; any other error
    is raised there. `before` is the time in seconds that the run took before this process. Several processes that save
    `together` share the clock and decide by it alone; `missed` is called when they wait for a part of the state that
    this process could not capture.
    """

    def __init__(
        self,
        job: Callable[[Saved], Callable[[], object]],
        seconds: float,
        before: float = 0.0,
        clock: Callable[[], float] = time.perf_counter,
        together: bool = False,
        missed: Callable[[], object] = lambda: None,
    ) -> None:
        self.job, self.seconds, self.clock, self.together, self.missed = job, seconds, clock, together, missed
        self.last = clock()
        self.begun = self.last - before
        self._cost = 0.0  # seconds of processor time and waiting for the last save
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None
        self._has_failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._wait()
        if error is None:
            self._report_failure()

    def __call__(self, take: Callable[[], Saved], moment: Moment) -> None:
        """Save the state that `take` returns, if a save is due."""
        self._report_failure()
        begin = self.clock()
        is_writing = self._is_writing() and not self.together
        if moment == "between" and (is_writing or not self._is_due(begin)):
            return
        if moment == "ended" and begin - self.begun < self.seconds:
            return  # training again would be as quick
        self._wait()
        self.last = begin
        try:
            job = self.job(take())
        except (RetrogradError, MemoryError) as error:
            self._failure = error
            self.missed()
            return
        self._cost = self.clock() - begin
        if moment == "between":
            self._thread = threading.Thread(target=self._do, args=(job,), name="checkpoint")
            self._thread.start()
        else:
            self._do(job)
            self._report_failure()

    def _is_due(self, now: float) -> bool:
        return now - self.last >= max(self.seconds, 0.0 if self.together else self._cost / SHARE)

    def _is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _do(self, job: Callable[[], object]) -> None:
        begin = time.thread_time()
        try:
            job()
        except Exception as error:
            self._failure = error
        self._cost += time.thread_time() - begin

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _report_failure(self) -> None:
        """Raise the error of the last save, or warn of it if it was the disk or the memory."""
        failure, self._failure = self._failure, None
        if failure is None:
            return
        if not isinstance(failure, (RetrogradError, MemoryError)):
            raise failure
        if not self._has_failed:
            message = f"no checkpoint was written, training continues: {str(failure) or 'out of memory'}"
            warnings.warn(message, RetrogradWarning, stacklevel=3)
        self._has_failed = True
