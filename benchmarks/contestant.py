"""What a race asks of a contestant: steps to be timed, the losses that prove it does the same as the others, bytes."""

from __future__ import annotations

from typing import Any

from workloads import Workload


class Absent(Exception):
    """Why a contestant does not take part in a workload."""


class Contestant:
    """A training step, built for one workload. A subclass says how to make a step and how to wait for the last one."""

    def __init__(self, work: Workload) -> None:
        self.work = work
        self.batches = work.batches()

    def step(self, x: Any, y: Any) -> Any:
        """Train on one batch; return its loss before the update, as something that `float` takes."""
        raise NotImplementedError

    def wait(self) -> None:
        """Return when all steps are done."""

    def run(self, steps: int) -> int:
        """Make at least so many steps; return how many."""
        for i in range(steps):
            self.step(*self.batches[i % len(self.batches)])
        self.wait()
        return steps

    def losses(self, steps: int) -> list[float]:
        """Return the losses of the first steps."""
        return [float(self.step(*batch)) for batch in self.batches[:steps]]

    def temporary_bytes(self) -> int | None:
        """Return the peak of temporaries of the compiled step, if the compiler tells."""
        return None
