"""Softmax on a single unit."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.training.config.output_check import constant_softmax

PROBABILITIES = {"binary_cross_entropy": {"from_logits": False}}


@symptoms.register(
    "one_unit_softmax",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}, "softmax"], loss=PROBABILITIES),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}, "sigmoid"], loss=PROBABILITIES),
        near_miss=setup(
            "blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss={"cross_entropy": {"from_logits": False}}
        ),
    ),
)
class OneUnitSoftmax(Symptom):
    """The softmax of a single unit is always 1: the output is constant, and all gradients before it are exactly 0."""

    code = "S01"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield softmax layers whose last axis has one element."""
        if program.graph.network is not None and program.graph.specs is not None:
            yield from self.warned(
                program, constant_softmax(program.graph.network, program.graph.specs), "match_output"
            )
