"""A loss that grows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

TIMES = threshold("B02", "times")


@symptoms.register(
    "divergence",
    examples=Examples(
        sick=setup("line", network=[{"dense": 1}], optimizer={"sgd": 1.3}, training={"epochs": 3}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("halves", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}]),
    ),
)
class Divergence(Symptom):
    """The loss ends well above its initial value: the steps overshoot, or the gradient points the wrong way."""

    code = "B02"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the final loss relative to the initial one."""
        if program.observed is None or program.start.pass_ is None or not program.observed.losses:
            return
        first, last = float(program.start.pass_.loss), float(program.observed.losses[-1])
        if np.isfinite(last) and last > TIMES * max(first, 1e-12):
            yield self.finding(
                "training",
                "the loss rose from {first:.4g} to {last:.4g}",
                Evidence("final loss / initial loss", last / max(first, 1e-12), TIMES),
                values={"first": first, "last": last},
                remedies=("lower_rate", "clip_gradients", "scale_inputs"),
                severity="fault",
                confidence=0.55,
            )
