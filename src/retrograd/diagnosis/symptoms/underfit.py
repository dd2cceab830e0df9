"""A network that does not even fit its own training rows."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

MARGIN = threshold("B13", "margin")


@symptoms.register(
    "underfit",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {"units": 4, "activation": "sigmoid"}}, {"dense": 1}],
                   optimizer={"sgd": 0.001}),
        healthy=setup("halves", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}]),
        near_miss=setup("noise", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}],
                        training={"epochs": 40}),
    ),
)  # fmt: skip
class Underfit(Symptom):
    """On its own training rows, the network is worse than logistic or ridge regression, which it could represent, or
    than the best reference is on new rows.
    """

    code = "B13"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the training score and that of the reference."""
        if program.observed is None or program.data.y is None or program.observed.broken:
            return
        levels, score = program.data.levels, program.observed.train_score
        level, reference = levels.train.get("linear", 0.0), "a linear model"
        if levels.best > max(level, score + MARGIN):
            level, reference = levels.best, f"{levels.best_words} on new rows"
        if score < level - MARGIN:
            yield self.finding(
                "network",
                "the network scores {score:.3g} on its training rows, {reference} {level:.3g}",
                Evidence("training score", score, level - MARGIN),
                values={"score": score, "reference": reference, "level": level},
                remedies=("raise_rate", "more_updates", "widen", "adam"),
                severity="fault",
                confidence=0.35,
            )
