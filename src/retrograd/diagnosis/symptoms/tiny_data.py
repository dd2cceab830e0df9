"""Very few rows."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

FEWEST = threshold("D12", "rows")
HEAD = [{"dense": {"units": 64, "activation": "relu"}}]


@symptoms.register(
    "tiny_data",
    examples=Examples(
        sick=setup("halves", {"rows": 40}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", {"rows": 400}, network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"rows": 90}, network=[*HEAD, {"dense": 1}]),
    ),
)
class TinyData(Symptom):
    """Scores on a handful of held-out rows are mostly luck; simpler models and cross-validation suit small data."""

    code = "D12"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the number of training rows."""
        rows = program.dataset.rows["train"]
        if rows < FEWEST:
            yield self.finding(
                "data",
                "only {rows} training rows",
                Evidence("training rows", rows, FEWEST),
                values={"rows": rows},
                severity="note",
                remedies=("simpler_network",),
                confidence=0.25,
            )
