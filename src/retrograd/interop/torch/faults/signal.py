"""Whether the rows and the answers of the loop are related at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.verdict import judge

NEIGHBOURS = 5  # scikit-learn's default
PERMUTATIONS = 19  # by chance, one of 20 exceeds all others
REPEATED = 10  # minimum number of repeated rows
MOST_CLASSES, FEW = 1000, 50  # integers with more different values, and other numbers with more, are quantities
FEWEST = 100  # minimum number of rows: among fewer, five neighbours are far away


@loop_faults.register("no_signal")
class NoSignal(LoopFault):
    """The answers of a row's nearest neighbours say no more about its own answer than shuffled answers do."""

    code = "D07"
    certain = False

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the agreement of neighbours compared with that after permutations (p < 1/20 is a signal)."""
        rows = journal.rows
        if sum(map(len, rows.x)) < FEWEST:
            return
        if rows.available is None and rows.repeated < REPEATED and judge(journal).state == "learns":
            return  # without repeated rows, a falling loss has been measured on new rows
        x, y = np.concatenate(rows.x), np.concatenate(rows.y)
        _, first = np.unique(x, axis=0, return_index=True)
        x, y = x[first].astype(np.float64), y[first]
        if len(x) < FEWEST or (y == y[0]).all() or not np.isfinite(x).all():
            return
        x = (x - x.mean(0)) / (x.std(0) + 1e-9)
        squares = (x * x).sum(1)
        distances = squares[:, None] + squares[None] - 2 * x @ x.T
        np.fill_diagonal(distances, np.inf)
        near = np.argpartition(distances, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        classes = y.shape[1] == 1 and (0 < len(rows.labels) < MOST_CLASSES or len(np.unique(y)) <= FEW)
        agreement = _agreement(y, near, classes)
        rng = np.random.default_rng(0)
        chance = [_agreement(y[rng.permutation(len(y))], near, classes) for _ in range(PERMUTATIONS)]
        if agreement <= max(chance):
            yield self.finding(
                journal.places.get("forward"),
                "the inputs do not determine the answers: similar rows agree no more than shuffled ones; "
                "either inputs and targets are in different orders, or there is nothing to learn",
                Evidence("agreement of neighbours", agreement, max(chance)),
                remedy="compare x[0] and y[0] in the loop with the original data",
                confidence=0.7,
            )


def _agreement(y: np.ndarray, near: np.ndarray, classes: bool) -> float:
    """Return how well the answers of the neighbours agree with a row's own."""
    if classes:  # class numbers have no order
        return float((y[near, 0] == y).mean())
    return -float(((y[near].mean(1) - y) ** 2).mean())
