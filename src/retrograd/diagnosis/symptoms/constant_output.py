"""A network that gives the same answer for all rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("B14", "variance")


@symptoms.register(
    "constant_output",
    examples=Examples(
        sick=setup("line", {"target_stretch": 50.0, "target_shift": 500.0}, network=[*HEAD, {"dense": 1}, "sigmoid"]),
        healthy=setup("line", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("wave", network=[*HEAD, {"dense": 1}]),
    ),
)
class ConstantOutput(Symptom):
    """After training, the variance of the outputs is below a thousandth of the targets' (of 0.25 for classes)."""

    code = "B14"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the variance of the final outputs relative to that of the targets."""
        if program.observed is None or program.data.y is None or program.observed.broken:
            return
        outputs = np.asarray(program.runs.scorer.outputs(program.observed.variables, "train"), np.float64)
        if not np.isfinite(outputs).all():
            return
        # 0.25: the variance of 0 and 1 in equal parts
        target = 0.25 if program.data.classifies else float(program.data.y.var(0).mean())
        share = float(outputs.reshape(len(outputs), -1).var(0).mean()) / max(target, 1e-30)
        if share < SHARE:
            yield self.finding(
                "network",
                "the outputs hardly change with the inputs",
                Evidence("variance of the outputs / of the targets", share, SHARE),
                remedies=("match_output", "scale_inputs", "default_initial_weights", "raise_rate"),
                severity="fault",
                confidence=0.3,
            )
