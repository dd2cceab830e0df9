"""Sorted rows that are not shuffled in training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SORTED = threshold("D08", "neighbours")
TRAINING = {"epochs": 20, "batch_size": 16, "shuffle": False}
IN_ORDER = {"order": True, "data": {"split": {"method": "none"}}}


@symptoms.register(
    "unshuffled",
    examples=Examples(
        sick=setup("blobs", IN_ORDER, network=[*HEAD, {"dense": 3}], training=TRAINING),
        healthy=setup("blobs", IN_ORDER, network=[*HEAD, {"dense": 3}]),
        near_miss=setup("blobs", network=[*HEAD, {"dense": 3}], training=TRAINING),
    ),
)
class Unshuffled(Symptom):
    """Batches of one class pull the weights towards that class, and the next batches pull them away."""

    code = "D08"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield how often neighbouring rows have the same class, if the rows are not shuffled."""
        if program.config.training.shuffle or not program.data.classifies or program.data.y is None:
            return
        if program.prepared is not None and program.prepared.batch_size >= len(program.data.y):
            return
        same = program.data.neighbours_alike
        chance = float(np.sum((np.bincount(program.data.y) / len(program.data.y)) ** 2))
        if same > SORTED and chance < SORTED:
            yield self.finding(
                "training.shuffle",
                "the rows are sorted by class and not shuffled: whole batches contain a single class",
                Evidence("share of neighbouring rows with the same class", same, SORTED),
                remedies=("shuffle",),
                confidence=0.85,
            )
