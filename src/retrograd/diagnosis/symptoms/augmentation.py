"""Augmentation that may change the answers."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.network.layers.augmentation.random_flip import RandomFlip
from retrograd.network.layers.augmentation.random_rotation import RandomRotation
from retrograd.network.layers.augmentation.time_shift import TimeShift

TURNED = 45.0  # degrees, beyond which a 6 may become a 9, and a horizontal line a slanted one
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
    """An image that is mirrored or rotated far, or a series that is shifted, may have another answer: 6 becomes 9, left
    becomes right, early becomes late. A run without augmentation shows whether it matters.
    """

    code = "S23"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layers that mirror, rotate or shift rows in a way that may change their meaning."""
        for node in program.graph.nodes:
            turns_far = isinstance(node.layer, RandomRotation) and node.layer.degrees > TURNED
            if turns_far or isinstance(node.layer, (RandomFlip, TimeShift)):
                yield self.finding(
                    program.graph.line(node),
                    "{kind} may change a row so that its answer is no longer right",
                    values={"kind": node.layer.kind},
                    remedies=("no_augmentation",),
                    confidence=0.4,
                )
