"""Features without information, or without new information."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

MOST_FEATURES = 200  # the number of pairs grows with the square
CORRELATED = threshold("D05", "correlation")


@symptoms.register(
    "collinear",
    examples=Examples(
        sick=setup("line", {"copies": 1}, network=[{"dense": 1}]),
        healthy=setup("line", network=[{"dense": 1}]),
        near_miss=setup("wave", network=[*HEAD, {"dense": 1}]),
    ),
)
class Collinear(Symptom):
    """Features are constant, or linear functions of one another: harmless for predictions, but their weights are not
    identifiable.
    """

    code = "D05"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield constant features and pairs with a correlation near 1."""
        if program.data.x is None or not 1 < program.data.x.shape[1] <= MOST_FEATURES or len(program.data.x) < 3:
            return
        # 0 up to float64 rounding
        constant = program.data.x.std(0) <= 1e-9 * np.maximum(np.abs(program.data.x).max(0), 1e-12)
        if constant.any():
            yield self.finding(
                "data",
                "{count} features are constant",
                values={"count": constant.sum()},
                severity="note",
                remedies=(),
                confidence=0.1,
            )
        related = (
            np.triu(np.abs(np.corrcoef(program.data.x[:, ~constant].T)), 1)
            if (~constant).sum() > 1
            else np.zeros((1, 1))
        )
        pairs = np.argwhere(related > CORRELATED)
        if len(pairs):
            numbers = np.flatnonzero(~constant)[pairs[0]]
            yield self.finding(
                "data",
                "features {one} and {other} are linear functions of one another{more}: their weights are "
                "not identifiable",
                Evidence("correlation", float(related.max()), CORRELATED),
                values={
                    "one": numbers[0],
                    "other": numbers[1],
                    "more": f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else "",
                },
                severity="note",
                confidence=0.1,
            )
