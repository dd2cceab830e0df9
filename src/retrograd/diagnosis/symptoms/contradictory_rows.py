"""Identical inputs with different answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("D13", "share")
HALF = 0.5  # share of a constant's errors: if no more can be avoided, the contradictions outweigh the signal


@symptoms.register(
    "contradictory_rows",
    examples=Examples(
        sick=setup("noise", {"rounded": True}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"copied_rows": True}, network=[*HEAD, {"dense": 1}]),
    ),
)
class ContradictoryRows(Symptom):
    """Identical inputs have different answers: any network must get some of these rows wrong."""

    code = "D13"
    stage = "data"
    of_the_answers = True

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of rows that no function of the inputs can get right."""
        x, y = program.data.x, program.data.y
        if x is None or y is None or program.dataset.task == "multilabel":
            return
        groups: dict[bytes, int] = {}
        group_of_row = np.array([groups.setdefault(row.tobytes(), len(groups)) for row in x + 0.0])  # turns -0 into 0
        if len(groups) == len(x):
            return
        answers = np.eye(int(y.max()) + 1)[y] if program.data.classifies else y
        sums = np.stack([np.bincount(group_of_row, column) for column in answers.T], 1)
        if program.data.classifies:
            wrong, limit = 1 - float(sums.max(1).sum()) / len(y), "at most {right:.1%} of the rows can be right"
            constant = 1 - float(sums.sum(0).max()) / len(y)
        else:
            means, spread = sums / np.bincount(group_of_row)[:, None], answers.var(0)
            residual = ((answers - means[group_of_row]) ** 2).mean(0) / np.where(spread > 0, spread, 1)
            wrong, constant, limit = float(residual.mean()), 1.0, "R² cannot exceed {right:.3g}"
        if wrong > SHARE:
            gain = 1 - wrong / max(constant, 1e-9)
            yield self.finding(
                "data",
                f"identical inputs have different answers: {limit}",
                Evidence("share that cannot be right", wrong, SHARE),
                values={"right": 1 - wrong},
                severity="note" if gain > HALF else "risk",
                confidence=0.3,
            )
