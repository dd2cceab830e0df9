"""Divergence: a loss that has risen far above that of untrained weights, judged on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

RISEN, THROWN = 3.0, 100.0  # times the first loss: at the end of a stretch, and in a single step
LEARNED = 0.9  # of the first loss: below it, something has been learned
# The mean of n losses that scatter as widely as their mean (misclassified rows, squared errors) has a standard error
# of 1 / sqrt(n) of itself: a quarter for 16 rows, enough for a suspicion, and a tenth for 128, enough to act on.
TELLING_ROWS, SURE_ROWS = 16, 128


class Part(NamedTuple):
    """A range of steps in a stretch, and the mean loss of their rows during training."""

    steps: range
    loss: float


class Gathered(NamedTuple):
    """The losses of a stretch, grouped so that each is the mean of enough rows to be meaningful.

    Shapes:  losses [groups], rows [groups], begins [groups]: the first step of each group; steps: their total number
    """

    losses: np.ndarray
    rows: np.ndarray
    begins: np.ndarray
    steps: int

    @property
    def tail(self) -> int:
        """The number of groups in the last quarter: at least one."""
        return max(1, len(self.losses) // 4)

    def at_the_end(self) -> float:
        """Return the mean loss of the rows in the last quarter."""
        return mean_of(self.losses[-self.tail :], self.rows[-self.tail :])

    def last(self) -> Part:
        """Return the last quarter, extended back to enough rows for certainty."""
        groups = max(self.tail, 1 + int(np.searchsorted(np.cumsum(self.rows[::-1]), SURE_ROWS)))
        begin = max(0, len(self.losses) - groups)
        return Part(range(int(self.begins[begin]), self.steps), mean_of(self.losses[begin:], self.rows[begin:]))


class Condition(NamedTuple):
    """The mean loss, and the share of a delta that each hidden activation passes on: 1 at its steepest, 0 if dead."""

    loss: float
    passed: dict[str, float]


class Compared(NamedTuple):
    """Further measurements, made only on demand because they cost time."""

    first: Callable[[range], float]  # loss of the run's initial weights on the rows of a range of steps
    after: Callable[[range], float]  # loss of the weights after the stretch on those rows
    condition: Callable[[], Condition]  # of the weights after the stretch


def rows_there(columns: Mapping[str, Any], chosen: np.ndarray) -> float:
    """Return the number of rows that a minibatch's loss averages; with sample weights w, (sum w)² / sum w².

    See:  Kish 1965, the effective sample size.
    """
    weights = columns.get("sample_weight")
    if weights is None:
        return float(len(chosen))
    shares = np.asarray(weights[chosen], float)
    return float(shares.sum() ** 2 / max((shares**2).sum(), np.finfo(float).tiny))


def mean_of(losses: np.ndarray, rows: np.ndarray) -> float:
    """Return the mean loss over all rows of the given steps."""
    if len(losses) == 1:  # the usual case; array arithmetic took a fifth of the time in 13,000 steps of 64 rows
        return float(losses[0])
    if (rows == rows[0]).all():
        return float(np.mean(losses))
    return float(np.average(np.asarray(losses, float), weights=rows))


def gathered(losses: np.ndarray, rows: np.ndarray) -> Gathered:
    """Return the losses of steps with `rows` rows each, grouping steps of few rows with their neighbours."""
    begins, rows_so_far = [], np.inf
    for step, rows_of_step in enumerate(rows[: len(losses)]):
        if rows_so_far >= TELLING_ROWS:
            begins.append(step)
            rows_so_far = 0.0
        rows_so_far += rows_of_step
    if rows_so_far < TELLING_ROWS and len(begins) > 1:
        begins.pop()  # the remainder joins the last group
    ends = [*begins[1:], len(losses)]
    parts = [slice(begin, end) for begin, end in zip(begins, ends, strict=True)] if begins else []
    return Gathered(
        np.array([mean_of(losses[part], rows[part]) for part in parts], float),
        np.array([rows[part].sum() for part in parts], float),
        np.array(begins, int),
        len(losses),
    )


def suspicious(losses: np.ndarray, steps: Gathered, first: float) -> bool:
    """Return whether the losses look as if training had diverged, compared with the first loss of the run.

    They do if the mean of the last quarter, or the last step alone, exceeds 3 times the first loss; or if a step sent
    the loss above 100 times the first, and the last quarter is not clearly below the first.
    """
    if not len(losses) or not np.isfinite(losses).all() or first <= 0:
        return False
    last = steps.at_the_end()
    if max(last, losses[-1]) > RISEN * first:
        return True
    return bool(losses.max() > THROWN * first and last > LEARNED * first)


def diverged(losses: np.ndarray, steps: Gathered, first: float, compared: Compared) -> str | None:
    """Describe how training has diverged: current losses against those of the initial weights on the same rows.

    Rows that are hard for any weights (an outlier, a rare class, a weight of 100) raise both losses alike. The effect
    of the last step shows only in the weights after it, whose loss is measured if the losses so far do not show it.
    """
    last = steps.last()
    initial = compared.first(last.steps)
    now = last.loss
    if now <= RISEN * initial and losses[-1] > RISEN * first:
        now = compared.after(last.steps)
    if now > RISEN * initial:
        return f"the loss rose from {initial:.4g} to {now:.4g}"
    worst = int(np.argmax(losses))
    highest = float(losses[worst])
    if highest <= THROWN * first or last.loss <= LEARNED * initial:
        return None
    before = compared.first(range(worst, worst + 1))
    if highest <= THROWN * before:
        return None
    return f"one step sent the loss from {before:.4g} to {highest:.4g}, and it has not recovered"
