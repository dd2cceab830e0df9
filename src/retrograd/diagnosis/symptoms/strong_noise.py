"""Noise in training that drowns the signal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.network.layers.noise.gaussian_noise import GaussianNoise

MOST = threshold("S14", "noise")


@symptoms.register(
    "strong_noise",
    examples=Examples(
        sick=setup("halves", network=[{"gaussian_noise": 9.0}, *HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"stretch": 9.0}, network=[{"gaussian_noise": 1.0}, *HEAD, {"dense": 1}]),
    ),
)
class StrongNoise(Symptom):
    """Noise added in training should be small compared with the values: if it exceeds their spread, most of what the
    next layer reads is noise.
    """

    code = "S14"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the noise layer that is strongest relative to the spread of its input."""
        initial = program.start.pass_
        times = {}
        for node in program.graph.nodes if initial is not None else ():
            if isinstance(node.layer, GaussianNoise) and initial is not None:
                spread = float(np.std(np.asarray(initial.outputs[node.inputs[0]], np.float64)))
                times[node.name] = node.layer.std / max(spread, 1e-30)
        worst = max(times, key=lambda name: times[name], default=None)
        if worst is not None and times[worst] > MOST:
            yield self.finding(
                program.graph.line(worst),
                "the noise is {times:.3g} times as large as the spread of the values it is added to",
                Evidence("deviation of the noise / of the values", times[worst], MOST),
                values={"times": times[worst]},
                remedies=("less_regularisation",),
                confidence=0.75,
            )
