"""Probabilities given to a loss that makes probabilities itself."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

HEAD = [{"dense": {"units": 8, "activation": "relu"}}]
SQUASHING = ("sigmoid", "softmax", "log_softmax", "hard_sigmoid")


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
    """A loss on logits squashes a second time what is in [0, 1] already: it cannot fall below ln(1 + (K-1)/e)."""

    code = "S10"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield squashing activations before a loss on logits, or before one another."""
        found = [node for node in program.output_activations if node.layer.kind in SQUASHING]
        logits = getattr(program.loss, "from_logits", False)
        if not found or not (logits or len(found) > 1) or found[-1].layer.kind == "log_softmax":
            return
        what = f"and {program.loss.kind} once more" if logits else f"and {found[-1].layer.kind} once more"
        yield self.finding(
            program.line(found[0]),
            f"{found[0].layer.kind} squashes the outputs to [0, 1], {what}: the loss has a floor far above 0",
            remedies=("match_output",),
            confidence=0.9,
        )
