"""Whether the rows and answers that the loop was given have anything to do with one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.verdict import judge

NEIGHBOURS = 5  # scikit-learn's usual number
PERMUTATIONS = 19  # chance is then above all of them once in 20
REPEATED = 10  # rows that came again: fewer are anecdotes
MOST_CLASSES, FEW = 1000, 50  # integers of more kinds, and other numbers of more, are quantities
FEWEST = 100  # rows: among fewer, five neighbours are far away


@loop_faults.register("no_signal")
class NoSignal(LoopFault):
    """The answers of a row's nearest neighbours say nothing of its own answer, no more than shuffled ones do."""

    code = "D07"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the agreement of neighbours against that after permutations (p < 1/20 is a signal)."""
        rows = journal.rows
        if sum(map(len, rows.x)) < FEWEST:
            return
        if rows.available is None and rows.repeated < REPEATED and judge(journal).state == "learns":
            return  # what a loss loses on new rows, these have told
        x, y = np.concatenate(rows.x), np.concatenate(rows.y)
        _, first = np.unique(x, axis=0, return_index=True)
        x, y = x[first].astype(np.float64), y[first]
        if len(x) < FEWEST or (y == y[0]).all() or not np.isfinite(x).all():
            return
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        squares = (x * x).sum(1)
        apart = squares[:, None] + squares[None] - 2 * x @ x.T
        np.fill_diagonal(apart, np.inf)
        near = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        classes = y.shape[1] == 1 and (0 < len(rows.labels) < MOST_CLASSES or len(np.unique(y)) <= FEW)
        own = _agreement(y, near, classes)
        rng = np.random.default_rng(0)
        chance = [_agreement(y[rng.permutation(len(y))], near, classes) for _ in range(PERMUTATIONS)]
        if own <= max(chance):
            yield self.finding(
                journal.places.get("forward"),
                "the inputs do not determine the answers: similar rows agree no more than shuffled ones; "
                "either inputs and targets are taken in different orders, or there is nothing to learn",
                Evidence("agreement of neighbours", own, max(chance)),
                remedy="compare x[0] and y[0] in the loop with the data that they come from",
                confidence=0.7,
            )


def _agreement(y: np.ndarray, near: np.ndarray, classes: bool) -> float:
    """Return how far the mean of the neighbours' answers agrees with a row's own."""
    if classes:  # whose numbers have no order
        return float((y[near, 0] == y).mean())
    return -float(((y[near].mean(1) - y) ** 2).mean())
