"""Inputs whose size or spread does not suit initial weights and learning rate."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

MANY = 64  # features, as in an 8 x 8 image: from this number on, they are assumed to be of one kind
ODD = {  # text for measures other than the size
    "largest spread / smallest": "some features vary far more than others",
    "mean / spread of a feature": "the mean of some features is large compared with their spread",
    "float32 spacing / spread": "some features vary by little more than the resolution of float32",
}
HEAD = [{"dense": {"units": 8, "activation": "tanh"}}]


@symptoms.register(
    "unscaled_inputs",
    examples=Examples(
        sick=setup("halves", {"stretch": 500.0}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"stretch": 500.0, "data": {"scale": "standard"}}, network=[*HEAD, {"dense": 1}]),
    ),
)
class UnscaledInputs(Symptom):
    """Large inputs saturate the first layer or multiply its gradients. Features with very different spreads, or with a
    mean far from 0 relative to their spread, make the curvature of the loss very different along different directions.
    """

    code = "D01"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the worst of four measures over the features, after the configured preprocessing."""
        if program.data.x is None or _normalised_first(program):
            return
        spread, mean, largest = program.data.x.std(0), program.data.x.mean(0), np.abs(program.data.x).max(0)
        varied = spread > 1e-9 * np.maximum(largest, 1e-12)  # 0 up to float64 rounding
        if not varied.any():
            return
        offset = np.abs(mean[varied]) / spread[varied]
        if program.data.x.shape[1] >= MANY or program.dataset.train["x"].ndim > 2:  # one scale: pixels, steps
            ratio, off = 1.0, float(np.median(offset))
        else:
            ratio, off = float(spread[varied].max() / spread[varied].min()), float(offset.max())
        steps = np.spacing(largest[varied].astype(np.float32)).astype(float) / spread[varied]
        measures = [
            ("largest magnitude", float(largest.max()), threshold("D01", "largest")),
            ("largest spread / smallest", ratio, threshold("D01", "spreads")),
            ("mean / spread of a feature", off, threshold("D01", "offset")),
            ("float32 spacing / spread", float(steps.max()), threshold("D01", "resolution")),
        ]
        broken = [Evidence(*measure) for measure in measures if measure[1] > measure[2]]
        if broken:
            worst = max(evidence.value / evidence.threshold for evidence in broken if evidence.threshold)
            feature = int(np.argmax(largest))
            names = program.dataset.features
            name = f" ({names[feature]})" if feature < len(names) else ""
            reach = f"feature {feature}{name} reaches {largest[feature]:.4g}"
            yield self.finding(
                "data.scale",
                "inputs reach the network unscaled: {how}",
                *broken,
                values={"how": ODD.get(broken[0].quantity, reach)},
                remedies=("scale_inputs",),
                confidence=min(0.92, 0.6 + 0.15 * math.log10(worst)),
            )


def _normalised_first(program: Program) -> bool:
    """Return whether the network itself begins with a normalisation."""
    return bool(program.graph.nodes) and "norm" in program.graph.nodes[0].layer.kind
