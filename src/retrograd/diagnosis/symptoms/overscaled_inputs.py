"""Inputs so small that they have probably been scaled twice."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SMALLEST = threshold("D03", "spread")


@symptoms.register(
    "overscaled_inputs",
    examples=Examples(
        sick=setup("blobs", {"stretch": 0.001}, network=[*HEAD, {"dense": 3}]),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("blobs", {"stretch": 0.1}, network=[*HEAD, {"dense": 3}]),
    ),
)
class OverscaledInputs(Symptom):
    """Inputs near 0 give gradients near 0: the first layer learns hardly anything except its bias."""

    code = "D03"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the spread of the features if it is tiny for most of them."""
        if program.data.x is None:
            return
        spread = program.data.x.std(0)
        varied = spread[spread > 0]
        if not len(varied):
            return
        # 64: an image of 8 x 8 pixels
        typical = float(np.median(varied)) if program.data.x.shape[1] > 64 else float(varied.min())
        most = float(np.mean(varied < SMALLEST))
        if most > 0.5:  # single narrow features are harmless
            yield self.finding(
                "data.scale",
                "{most:.0%} of the features have a spread below {smallest:g}, as if they had been scaled twice",
                Evidence("standard deviation of the features", typical, SMALLEST),
                values={"most": most, "smallest": SMALLEST},
                remedies=("scale_inputs",),
                confidence=min(0.93, 0.7 + 0.1 * math.log10(SMALLEST / max(typical, 1e-12))),
            )
