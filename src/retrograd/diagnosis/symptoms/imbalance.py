"""Classes of very different frequency."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

RATIO = 10.0
HEAD = [{"dense": {"units": 8, "activation": "relu"}}]


@symptoms.register(
    "imbalance",
    examples=Examples(
        sick=setup("rare", network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("blobs", network=[*HEAD, {"dense": 3}]),
    ),
)
class Imbalance(Symptom):
    """A class of one row in twenty is best ignored by whoever counts right answers: watch balanced accuracy."""

    code = "D06"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the ratio of the most frequent class to the rarest."""
        if not program.classifies or program.y is None:
            return
        classes, counts = np.unique(program.y, return_counts=True)
        if len(counts) > 1 and counts.max() / counts.min() > RATIO:
            names = program.dataset.classes or tuple(classes)
            rarest = names[int(classes[counts.argmin()])]
            yield self.finding(
                "data.target",
                f"class {rarest} has {counts.min()} rows, the most frequent one {counts.max()}",
                Evidence("rows of the most frequent class / rarest", counts.max() / counts.min(), RATIO),
                remedies=("weigh_classes",),
                confidence=0.6,
            )
