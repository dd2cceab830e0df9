"""A loss that is still falling when training ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.observe import finite
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

FALL = threshold("B11", "fall")


@symptoms.register(
    "slow",
    examples=Examples(
        sick=setup("blobs", network=[{"dense": 3}], optimizer={"sgd": 0.004}),
        healthy=setup(  # with weight decay, or the loss of separable classes would fall for ever
            "blobs",
            network=[{"dense": 3}],
            optimizer={"sgd": {"learning_rate": 0.5, "weight_decay": 0.01}},
            training={"epochs": 60},
        ),
        near_miss=setup("noise", network=[{"dense": 1}], optimizer={"sgd": 0.05}, training={"epochs": 40}),
    ),
)
class Slow(Symptom):
    """The loss still decreases clearly in the last quarter of the run: it ended before learning did."""

    code = "B11"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the decrease over the last quarter of the epochs, if most of them lower the loss."""
        losses = finite(program.observed.losses) if program.observed is not None else np.zeros(0)
        # with fewer epochs, a quarter is less than one
        if len(losses) < 4 or program.observed is None or program.observed.broken:
            return
        quarter = max(1, len(losses) // 4)
        fall = float((losses[-quarter - 1] - losses[-1]) / max(abs(losses[-quarter - 1]), 1e-12))
        if fall > FALL and np.mean(np.diff(losses[-quarter - 1 :]) < 0) > 0.7:  # a few epochs may rise
            yield self.finding(
                "training.epochs",
                "the loss is still falling when training ends: by {fall:.0%} in the last quarter",
                Evidence("decrease of the loss in the last quarter", fall, FALL),
                values={"fall": fall},
                remedies=("more_updates", "raise_rate", "adam"),
                confidence=0.5,
            )
