"""A network no better than a constant answer."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

NEAR = threshold("B03", "near")


@symptoms.register(
    "stuck",
    examples=Examples(
        sick=setup("blobs", network=[{"dense": {"units": 8, "activation": "relu", "weight": "zeros"}},
                                     {"dense": {"units": 3, "weight": "zeros"}}]),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("wave", network=[*HEAD, {"dense": 1}], training={"epochs": 60}),
    ),
)  # fmt: skip
class Stuck(Symptom):
    """After training, the score on the training rows is hardly better than that of a constant answer."""

    code = "B03"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the training score and that of the constant answer."""
        if program.observed is None or program.observed.broken or program.data.y is None:
            return
        score, trivial = program.observed.train_score, program.data.levels.train.get("trivial", 0.0)
        if score < trivial + NEAR * (1 - trivial):
            yield self.finding(
                "training",
                "the network is no better than a constant answer ({score:.3g} against {trivial:.3g})",
                Evidence("training score", score, trivial + NEAR * (1 - trivial)),
                values={"score": score, "trivial": trivial},
                remedies=("default_initial_weights", "raise_rate", "lower_rate", "match_output"),
                severity="fault",
                confidence=0.3,
            )
