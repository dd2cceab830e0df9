"""A network that memorises its training rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

RISE, GAP = threshold("B12", "rise"), threshold("B12", "gap")
BEFORE = 0.7  # share of the run after which a minimum is noise


@symptoms.register(
    "overfit",
    examples=Examples(
        sick=setup("noise", {"rows": 80}, network=[{"dense": {"units": 128, "activation": "relu"}}, {"dense": 1}],
                   training={"epochs": 120, "batch_size": 16}),
        healthy=setup("halves", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}]),
        near_miss=setup("blobs", network=[{"dense": {"units": 128, "activation": "relu"}}, {"dense": 3}]),
    ),
)  # fmt: skip
class Overfit(Symptom):
    """The held-out loss has an early minimum and then rises, while the training score exceeds the held-out score."""

    code = "B12"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the step of the smallest held-out loss, and the rise from there to the end."""
        observed = program.observed
        if observed is None or program.dataset.valid is None or program.data.badly_split:
            return
        if len(observed.moments) < 4 or observed.broken:  # with fewer, "early" has no meaning
            return
        losses = np.array([moment.held_out_loss for moment in observed.moments])
        if not np.isfinite(losses).all():
            return
        at, rise = int(losses.argmin()), float(losses[-1] / max(losses.min(), 1e-12))
        gap = observed.train_score - observed.score
        if at < BEFORE * (len(losses) - 1) and rise > RISE and gap > GAP:
            yield self.finding(
                "training.epochs",
                "the held-out loss is smallest at step {step}, and {rise:.2g} times as large at the end; "
                "the score is {train:.3g} on training rows, {held_out:.3g} on held-out rows",
                Evidence("held-out loss at the end / smallest", rise, RISE),
                Evidence("training score - held-out score", gap, GAP),
                values={
                    "step": observed.moments[at].step,
                    "rise": rise,
                    "train": observed.train_score,
                    "held_out": observed.score,
                },
                remedies=(
                    "early_stopping",
                    "augment_images",
                    "weight_decay",
                    "add_dropout",
                    "mixup",
                    "simpler_network",
                ),
                confidence=0.45,
            )
