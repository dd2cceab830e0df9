"""Softmax on a single unit."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

HEAD = [{"dense": {"units": 8, "activation": "relu"}}]
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
    """The share of one among one is always 1: the output is constant, and every gradient before it exactly 0."""

    code = "S01"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield softmax layers whose last axis has one element."""
        for node in program.nodes:
            if node.layer.kind not in ("softmax", "log_softmax") or program.specs is None:
                continue
            if program.specs[node.name].shape[-1] == 1:
                yield self.finding(
                    program.line(node),
                    "softmax over one unit is the constant 1, and no gradient passes it",
                    remedies=("match_output",),
                    severity="fault",
                    confidence=0.99,
                )
