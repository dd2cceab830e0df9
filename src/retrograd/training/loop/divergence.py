"""Divergence: a loss that has risen far above what untrained weights reach, judged by the rows that were there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

RISEN, THROWN = 3.0, 100.0  # times the first loss: at the end of some steps, and in a single one
LEARNED = 0.9  # of the first loss: what is below has learned something
# The mean of n losses that scatter as widely as their mean (misclassified rows, squared errors) has a standard error
# of 1 / sqrt(n) of itself: a quarter for 16 rows, enough for a suspicion, and a tenth for 128, enough to act on.
TELLING_ROWS, SURE_ROWS = 16, 128


class Part(NamedTuple):
    """Some steps of a stretch, and the mean loss of their rows as they were trained on."""

    steps: range
    loss: float


class Gathered(NamedTuple):
    """The losses of some steps, gathered so that each is the mean of enough rows to tell something.

    Shapes:  losses [groups], rows [groups], begins [groups]: the first step of each group; steps counts them all
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
        """Return the last quarter, and as many rows before it as it takes to be sure."""
        groups = max(self.tail, 1 + int(np.searchsorted(np.cumsum(self.rows[::-1]), SURE_ROWS)))
        begin = max(0, len(self.losses) - groups)
        return Part(range(int(self.begins[begin]), self.steps), mean_of(self.losses[begin:], self.rows[begin:]))


class Condition(NamedTuple):
    """The mean loss, and the share of a delta that each hidden activation passes on: 1 where it is steepest, dead 0."""

    loss: float
    passed: dict[str, float]


class Compared(NamedTuple):
    """What else can be measured, which is not free."""

    first: Callable[[range], float]  # the loss of the weights with which the run began on the rows of some steps
    after: Callable[[range], float]  # that of the weights after the stretch
    condition: Callable[[], Condition]  # of the weights after the stretch


def rows_there(columns: Mapping[str, Any], chosen: np.ndarray) -> float:
    """Return of how many rows the loss of a minibatch is a mean: of rows with weights w, (sum w)² / sum w².

    See:  Kish 1965, the effective sample size.
    """
    weights = columns.get("sample_weight")
    if weights is None:
        return float(len(chosen))
    shares = np.asarray(weights[chosen], float)
    return float(shares.sum() ** 2 / max((shares**2).sum(), np.finfo(float).tiny))


def mean_of(losses: np.ndarray, rows: np.ndarray) -> float:
    """Return the mean loss of all rows of some steps."""
    if len(losses) == 1:  # as mostly: of 13,000 steps with 64 rows, the arrays' arithmetic took a fifth of the time
        return float(losses[0])
    if (rows == rows[0]).all():
        return float(np.mean(losses))
    return float(np.average(np.asarray(losses, float), weights=rows))


def gathered(losses: np.ndarray, rows: np.ndarray) -> Gathered:
    """Return the losses of steps with `rows` rows each, those of few rows joined to their neighbours."""
    begins, there = [], np.inf
    for step, rows_of_step in enumerate(rows[: len(losses)]):
        if there >= TELLING_ROWS:
            begins.append(step)
            there = 0.0
        there += rows_of_step
    if there < TELLING_ROWS and len(begins) > 1:
        begins.pop()  # the rest joins the group before it
    ends = [*begins[1:], len(losses)]
    parts = [slice(begin, end) for begin, end in zip(begins, ends, strict=True)] if begins else []
    return Gathered(
        np.array([mean_of(losses[part], rows[part]) for part in parts], float),
        np.array([rows[part].sum() for part in parts], float),
        np.array(begins, int),
        len(losses),
    )


def suspicious(losses: np.ndarray, steps: Gathered, first: float) -> bool:
    """Return whether losses of some steps look as if they had diverged from the first loss of the run.

    So they do when the last quarter's mean is 3 times the first loss, or the last step's alone; or when a step threw
    the loss to 100 times the first, and the last quarter is not clearly below the first.
    """
    if not len(losses) or not np.isfinite(losses).all() or first <= 0:
        return False
    last = steps.at_the_end()
    if max(last, losses[-1]) > RISEN * first:
        return True
    return bool(losses.max() > THROWN * first and last > LEARNED * first)


def diverged(losses: np.ndarray, steps: Gathered, first: float, compared: Compared) -> str | None:
    """Return in words how training has diverged: on the same rows, the losses of now against the first weights'.

    Rows that are hard for any weights (an outlier, a rare class, a weight of 100) raise both losses alike. What the
    last step did is seen in the weights after it, whose loss is measured if that step's rows tell nothing.
    """
    last = steps.last()
    there = compared.first(last.steps)
    now = last.loss
    if now <= RISEN * there and losses[-1] > RISEN * first:
        now = compared.after(last.steps)
    if now > RISEN * there:
        return f"the loss rose from {there:.4g} to {now:.4g}"
    worst = int(np.argmax(losses))
    highest = float(losses[worst])
    if highest <= THROWN * first or last.loss <= LEARNED * there:
        return None
    before = compared.first(range(worst, worst + 1))
    if highest <= THROWN * before:
        return None
    return f"a step threw the loss from {before:.4g} to {highest:.4g}, and it has not come back"
