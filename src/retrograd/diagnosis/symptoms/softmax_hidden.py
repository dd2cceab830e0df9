"""Softmax between layers."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms


@symptoms.register(
    "softmax_hidden",
    examples=Examples(
        sick=setup("blobs", network=[{"dense": {"units": 8, "activation": "softmax"}}, {"dense": 3}]),
        healthy=setup("blobs", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 3}]),
        near_miss=setup(
            "blobs",
            network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 3}, "softmax"],
            loss={"cross_entropy": {"from_logits": False}},
        ),
    ),
)
class SoftmaxHidden(Symptom):
    """Units that must sum to 1 compete, so the layer's signals and gradients are small."""

    code = "S09"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield softmax as the activation of a hidden layer with weights."""
        weighted = {node.name for node in program.start.weighted}
        for node in program.graph.hidden_activations:
            if node.layer.kind == "softmax" and node.inputs[0] in weighted:
                yield self.finding(
                    program.graph.line(node),
                    "softmax between layers makes the units compete: they sum to 1, and their gradients are small",
                    remedies=("hidden_relu",),
                    confidence=0.9,
                )
