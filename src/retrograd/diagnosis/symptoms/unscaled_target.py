"""Targets much larger than a network's initial outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SPREAD, OFFSET = threshold("D02", "spread"), threshold("D02", "offset")


@symptoms.register(
    "unscaled_target",
    examples=Examples(
        sick=setup("line", {"target_stretch": 1000.0}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("line", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("line", {"target_stretch": 1000.0, "data": {"scale_target": "standard"}},
                        network=[*HEAD, {"dense": 1}]),
    ),
)  # fmt: skip
class UnscaledTarget(Symptom):
    """Initial outputs are of order 1: targets in the thousands give losses in the millions, and adaptive optimizers
    need thousands of updates to reach them.
    """

    code = "D02"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the spread and offset of the targets that reach the loss."""
        if program.data.classifies or program.data.y is None:
            return
        spread, mean = float(program.data.y.std(0).max()), float(np.abs(program.data.y.mean(0)).max())
        broken = [
            Evidence(*measure)
            for measure in (
                ("standard deviation of the target", spread, SPREAD),
                ("mean / deviation of the target", mean / max(spread, 1e-12) if mean > OFFSET else 0.0, OFFSET),
            )
            if measure[1] > measure[2]
        ]
        if broken:
            size = max(spread, mean)
            yield self.finding(
                "data.scale_target",
                "targets of size {size:.4g} reach the loss unscaled",
                *broken,
                values={"size": size},
                remedies=("scale_targets",),
                confidence=min(0.9, 0.5 + 0.1 * math.log10(size)),
            )
