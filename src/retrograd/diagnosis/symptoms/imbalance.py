"""Classes with very different frequencies."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.data_facts import SORTED, STRANGERS
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

RATIO = threshold("D06", "ratio")


@symptoms.register(
    "imbalance",
    examples=Examples(
        sick=setup("rare", network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("blobs", network=[*HEAD, {"dense": 3}]),
    ),
)
class Imbalance(Symptom):
    """Ignoring a class with one row in twenty costs almost no accuracy, but shows in balanced accuracy."""

    code = "D06"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the classes without training rows, and the ratio of the most frequent class to the rarest."""
        if not program.data.classifies or program.data.y is None:
            return
        if program.data.badly_split and program.data.neighbours_alike < SORTED:
            yield self.finding(
                "data.target",
                "no training row has class {classes}, but {rows} validation rows do",
                Evidence(
                    "share of validation rows with an unknown class", float(program.data.strangers.mean()), STRANGERS
                ),
                values={"classes": ", ".join(program.data.unknown_classes), "rows": program.data.strangers.sum()},
                remedies=("shuffled_split", "weigh_classes"),
                severity="fault",
                confidence=0.9,
            )
        classes, counts = np.unique(program.data.y, return_counts=True)
        if len(counts) > 1 and counts.max() / counts.min() > RATIO:
            rarest = program.dataset.class_name(int(classes[counts.argmin()]))
            yield self.finding(
                "data.target",
                "class {rarest} has {fewest} rows, the most frequent class has {most}: never predicting "
                "{rarest} is right for {share:.1%} of the rows; check balanced_accuracy or roc_auc",
                Evidence("rows of the most frequent / rarest class", counts.max() / counts.min(), RATIO),
                values={
                    "rarest": rarest,
                    "fewest": counts.min(),
                    "most": counts.max(),
                    "share": 1 - counts.min() / counts.sum(),
                },
                remedies=("weigh_classes",),
                confidence=0.6,
            )
