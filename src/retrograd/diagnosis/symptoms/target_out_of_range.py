"""Targets that the output activation cannot reach."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

RANGES = {
    "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "hard_sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0), "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "softplus": (0.0, np.inf),
}  # fmt: skip
SHARE = threshold("S03", "share")


@symptoms.register(
    "target_out_of_range",
    examples=Examples(
        sick=setup("line", {"target_stretch": 20.0}, network=[*HEAD, {"dense": 1}, "sigmoid"]),
        healthy=setup("line", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("line", {"data": {"scale_target": "minmax"}}, network=[*HEAD, {"dense": 1}, "sigmoid"]),
    ),
)
class TargetOutOfRange(Symptom):
    """Targets lie outside the range of the output activation: the output can only approach the bound."""

    code = "S03"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the share of targets outside the range of the last activation, or of the loss."""
        numbers = program.numbers
        if numbers is None:
            return
        low, high, what = -np.inf, np.inf, ""
        if program.graph.output_activations:
            node = program.graph.output_activations[-1]
            low, high = RANGES.get(node.layer.kind, (low, high))
            what = f"the {node.layer.kind} at {program.graph.line(node)}"
        if program.graph.loss.kind == "binary_cross_entropy":
            low, high, what = 0.0, 1.0, "binary_cross_entropy"
        share = float(np.mean((numbers < low) | (numbers > high)))
        if share > SHARE:
            yield self.finding(
                "data.target",
                "{what} ranges from {low:g} to {high:g}; targets range from {smallest:.4g} to {largest:.4g}",
                Evidence("share of targets out of reach", share, SHARE),
                values={"what": what, "low": low, "high": high, "smallest": numbers.min(), "largest": numbers.max()},
                remedies=("match_output", "scale_targets"),
                severity="fault",
                confidence=0.96,
            )
