"""The time budget of a diagnosis: runs that would take too long train on a sample of the rows, or are cut short."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from retrograd.data.dataset import Batch, Dataset
from retrograd.data.prefetch import is_streamed
from retrograd.diagnosis.judgement.levels import MOST_ROWS
from retrograd.diagnosis.observe import Observed
from retrograd.diagnosis.program import Program

SECONDS = 120.0  # default for a whole diagnosis
TRIAL = 0.25  # share of the budget for the first run, which shows the speed
REST = 0.3  # share of the budget for the work after the runs
QUICK = 8.0  # seconds: as long as all runs together took less, more seeds are nearly free
MOST_HELD = 5_000  # maximum number of held-out rows in a sample: their score is then known to 0.007


def unheard(_: str) -> None:
    """Say nothing."""


@dataclass
class Budget:
    """The seconds allowed for a diagnosis, and the callback that receives its progress."""

    seconds: float = math.inf
    say: Callable[[str], None] = unheard
    begun: float = field(default_factory=time.perf_counter)

    @property
    def used(self) -> float:
        """Seconds used so far."""
        return time.perf_counter() - self.begun

    @property
    def left(self) -> float:
        """Seconds left for runs."""
        return max(0.0, (1 - REST) * self.seconds - self.used)

    @property
    def rest(self) -> float:
        """Seconds left for the work after the runs."""
        return max(1.0, self.seconds - self.used)

    def tell(self, what: str) -> None:
        """Report the current step and the time used."""
        limit = "" if math.isinf(self.seconds) else f" of {self.seconds:.0f}"
        self.say(f"{what} ({self.used:.0f}{limit} s)")

    def allows(self, runs: int, last: float) -> bool:
        """Return whether another run as long as the last one would fit."""
        return runs == 0 or last < self.left


def within(program: Program, budget: Budget, seeds: int) -> tuple[Program, Observed | None]:
    """Return the program and its first run; if all runs together would take too long, on a sample of the rows.

    The first run gets a quarter of the budget. If it does not finish in that time, its speed determines the number of
    rows in the sample, which is at least the number that references are fitted on. If there are no more rows
    than that, or rows are decoded one by one, runs are cut short instead.
    """
    if math.isinf(budget.seconds) or program.prepared is None:
        return program, program.observed
    program.runs.seconds = min(program.runs.seconds or math.inf, max(TRIAL * budget.seconds, 1.0))
    began = budget.used
    first = program.observed
    if first is None or not first.cut:
        return program, first
    seconds_each = budget.left / max(seeds - 1, 1)
    if is_streamed(program.dataset.train):
        program.runs.seconds = seconds_each
        return program, first
    speed = first.steps / max(budget.used - began, 1e-9)
    share = seconds_each * speed / program.prepared.steps
    rows = program.dataset.rows["train"]
    chosen = max(MOST_ROWS, int(share * rows))
    if chosen >= rows:
        program.runs.seconds = seconds_each
        return program, first
    sample = f"on a sample of {chosen:,} of {rows:,} training rows"
    budget.tell(f"all rows would take too long: continuing {sample}")
    return Program(program.config, sampled(program.dataset, chosen), seconds_each, sample=sample), None


def sampled(dataset: Dataset, rows: int, seed: int = 0) -> Dataset:
    """Return a data set with a random sample of the training rows, in their original order."""
    draw = np.random.default_rng(seed)

    def some(columns: Batch | None, count: int) -> Batch | None:
        if columns is None:
            return None
        total = len(next(iter(columns.values())))
        if total <= count:
            return columns
        chosen = np.sort(draw.choice(total, count, replace=False))
        return {name: column[chosen] for name, column in columns.items()}

    train = some(dataset.train, rows)
    assert train is not None
    return dataclasses.replace(dataset, train=train, valid=some(dataset.valid, MOST_HELD))
