"""Probabilities for a loss that expects logits."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.training.config.output_check import squashed_twice


@symptoms.register(
    "softmax_twice",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss="cross_entropy"),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}], loss="cross_entropy"),
        near_miss=setup(
            "blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss={"cross_entropy": {"from_logits": False}}
        ),
    ),
)
class SoftmaxTwice(Symptom):
    """A loss that expects logits squashes probabilities a second time: it cannot fall below ln(1 + (K-1)/e)."""

    code = "S10"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield squashing activations before a loss that expects logits, or one after another."""
        if program.graph.network is not None:
            yield from self.warned(
                program, squashed_twice(program.graph.network, program.graph.objectives), "match_output"
            )
