"""Changes of the rows in training that may change their answers."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.network.layers.augmentation.random_flip import RandomFlip
from retrograd.network.layers.augmentation.random_rotation import RandomRotation
from retrograd.network.layers.augmentation.time_shift import TimeShift

TURNED = 45.0  # degrees, from which on a 6 may be a 9, and a horizontal line a slanted one
IMAGE = {"reshape": [2, 2, 1]}


@symptoms.register(
    "augmentation",
    examples=Examples(
        sick=setup("halves", network=[IMAGE, "random_flip", "flatten", *HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[IMAGE, {"random_rotation": 10.0}, "flatten", *HEAD, {"dense": 1}]),
    ),
)
class Augmentation(Symptom):
    """An image that is mirrored or turned far, and a series that is shifted, may have another answer: a 6 and a 9, left
    and right, early and late. Whether it does, a run without it shows.
    """

    code = "S23"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layers that move the content of rows to where it may mean something else."""
        for node in program.graph.nodes:
            turns = isinstance(node.layer, RandomRotation) and node.layer.degrees > TURNED
            if turns or isinstance(node.layer, (RandomFlip, TimeShift)):
                yield self.finding(
                    program.graph.line(node),
                    "{kind} may turn a row into one with another answer",
                    values={"kind": node.layer.kind},
                    remedies=("no_augmentation",),
                    confidence=0.4,
                )
