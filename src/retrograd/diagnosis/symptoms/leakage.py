"""Validation rows that are also training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("D10", "share")


@symptoms.register(
    "leakage",
    examples=Examples(
        sick=setup("halves", {"copied_rows": True}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("noise", {"features": 6}, network=[*HEAD, {"dense": 1}]),
    ),
)
class Leakage(Symptom):
    """A row that is in both parts is memorised and then counted as understood."""

    code = "D10"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of validation rows whose inputs occur in the training part."""
        held = program.dataset.valid
        if program.data.x is None or held is None or "x" not in held:
            return
        known = {row.tobytes() for row in np.ascontiguousarray(program.dataset.train["x"])}
        copies = np.mean([row.tobytes() in known for row in np.ascontiguousarray(held["x"])])
        if copies > SHARE and program.data.x.shape[1] > 2:
            yield self.finding(
                "data.split",
                "{copies:.0%} of the validation rows are training rows as well: their score is too optimistic",
                Evidence("share of validation rows that train", float(copies), SHARE),
                values={"copies": copies},
                severity="note",
                confidence=0.2,
            )
