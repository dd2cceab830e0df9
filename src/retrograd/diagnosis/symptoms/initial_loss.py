"""An initial loss far above that of an uninformed prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

TIMES = threshold("B20", "times")
HEAD = {"units": 16, "activation": "relu"}


@symptoms.register(
    "initial_loss",
    examples=Examples(
        sick=setup("blobs", network=[{"dense": {**HEAD, "weight": {"normal": {"std_deviation": 3.0}}}},
                                     {"dense": {"units": 3, "weight": {"normal": {"std_deviation": 3.0}}}}]),
        healthy=setup("blobs", network=[{"dense": HEAD}, {"dense": 3}]),
        near_miss=setup("line", network=[{"dense": HEAD}, {"dense": 1}]),
    ),
)  # fmt: skip
class InitialLoss(Symptom):
    """An uninformed prediction costs ln K for classes and the variance for quantities; more means too large outputs."""

    code = "B20"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the initial loss relative to that of an output of zeros."""
        loss = program.graph.loss.kind
        if (
            program.start.pass_ is None
            or program.data.y is None
            or getattr(program.graph.loss, "reduction", "mean") == "sum"
        ):
            return
        if loss == "cross_entropy":
            expected = math.log(max(2, program.graph.units or 2))
        elif loss == "binary_cross_entropy":
            expected = math.log(2)
        elif loss == "mean_squared_error" and not program.data.classifies:
            expected = float(np.mean(program.data.y**2)) * getattr(program.graph.loss, "scale", 1.0)
        else:
            return
        first = float(program.start.pass_.loss)
        if first > TIMES * expected:
            yield self.finding(
                "network",
                "the initial loss is {first:.4g}; that of an uninformed prediction would be {expected:.4g}",
                Evidence("initial loss / that of an uninformed prediction", first / expected, TIMES),
                values={"first": first, "expected": expected},
                remedies=("default_initial_weights", "scale_inputs", "match_output"),
                confidence=0.35,
            )
