"""Equal inputs with different answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("D13", "share")
HALF = 0.5  # of a constant's errors: if no more can be corrected, the contradictions outweigh the signal


@symptoms.register(
    "contradictory_rows",
    examples=Examples(
        sick=setup("noise", {"rounded": True}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"copied_rows": True}, network=[*HEAD, {"dense": 1}]),
    ),
)
class ContradictoryRows(Symptom):
    """Identical inputs have different answers: a network must get a share of these rows wrong."""

    code = "D13"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of rows that no function of the inputs can answer."""
        if program.data.x is None or program.data.y is None or not program.data.classifies:
            return
        groups: dict[bytes, int] = {}
        rows = program.data.x + 0.0  # which makes 0 of -0
        group_of_row = np.array([groups.setdefault(row.tobytes(), len(groups)) for row in rows])
        counts = np.zeros((len(groups), program.data.y.max() + 1))
        np.add.at(counts, (group_of_row, program.data.y), 1)
        wrong = 1 - float(counts.max(1).sum()) / len(program.data.y)
        gain = 1 - wrong / max(1 - float(counts.sum(0).max()) / len(program.data.y), 1e-9)
        if wrong > SHARE:
            yield self.finding(
                "data",
                "identical inputs have different answers: at most {right:.1%} of these rows can be right",
                Evidence("share of rows that cannot be right", wrong, SHARE),
                values={"right": 1 - wrong},
                severity="note" if gain > HALF else "risk",
                confidence=0.3,
            )
