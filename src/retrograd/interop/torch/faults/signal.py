"""Whether the rows and answers that the loop was given have anything to do with one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

NEIGHBOURS = 5  # scikit-learn's usual number
PERMUTATIONS = 19  # chance is then above all of them once in 20
FEWEST = 100  # rows: among fewer, five neighbours are far away


@loop_faults.register("no_signal")
class NoSignal(LoopFault):
    """The answers of a row's nearest neighbours say nothing of its own answer, no more than shuffled ones do."""

    code = "D07"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the agreement of neighbours against that after permutations (p < 1/20 is a signal)."""
        if sum(map(len, journal.rows.x)) < FEWEST:
            return
        x, y = np.concatenate(journal.rows.x), np.concatenate(journal.rows.y)
        _, first = np.unique(x, axis=0, return_index=True)
        x, y = x[first].astype(np.float64), y[first]
        if len(x) < FEWEST or (y == y[0]).all() or not np.isfinite(x).all():
            return
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        squares = (x * x).sum(1)
        apart = squares[:, None] + squares[None] - 2 * x @ x.T
        np.fill_diagonal(apart, np.inf)
        near = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        own = _agreement(y, near)
        rng = np.random.default_rng(0)
        chance = [_agreement(y[rng.permutation(len(y))], near) for _ in range(PERMUTATIONS)]
        if own <= max(chance):
            yield self.finding(
                journal.places.get("forward"),
                "the inputs do not determine the answers: similar rows agree no more than shuffled ones; "
                "either inputs and targets are taken in different orders, or there is nothing to learn",
                Evidence("agreement of neighbours", own, max(chance)),
                remedy="compare x[0] and y[0] in the loop with the data that they come from",
                confidence=0.7,
            )


def _agreement(y: np.ndarray, near: np.ndarray) -> float:
    """Return how far the mean of the neighbours' answers agrees with a row's own."""
    if y.shape[1] == 1 and len(np.unique(y)) <= 50:  # classes; of more, numbers
        return float((y[near, 0] == y).mean())
    return -float(((y[near].mean(1) - y) ** 2).mean())
