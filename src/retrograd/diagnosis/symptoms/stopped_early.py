"""Early stopping of a run that is still learning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.observe import finite
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("B26", "epochs")
FALLING = threshold("B26", "fall")
PATIENT, HASTY = {"patience": 10}, {"patience": 1, "min_change": 0.2}


@symptoms.register(
    "stopped_early",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], training={"epochs": 40, "early_stopping": HASTY}),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("noise", network=[*HEAD, {"dense": 1}], training={"epochs": 40, "early_stopping": PATIENT}),
    ),
)
class StoppedEarly(Symptom):
    """Early stopping ends a run after `patience` evaluations that lower the loss by less than `min_change`. A short
    patience mistakes the noise of one evaluation for the end, a large `min_change` a slow descent.
    """

    code = "B26"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a run stopped in its first half while the losses were still falling."""
        run, rule = program.observed, program.config.training.early_stopping
        if run is None or rule is None or run.stopped != "early stopping":
            return
        planned, epochs = program.config.training.epochs, len(run.losses)
        losses, held = finite(run.losses), finite(tuple(moment.held_out_loss for moment in run.moments))
        if len(losses) < 2 or not len(held) or epochs > SHARE * planned:
            return
        fall = float(1 - losses[-1] / losses[-1 - max(1, len(losses) // 4)]) if losses[-1] > 0 else 0.0
        lowest = float(np.min(held))
        # a loss that ends at its lowest value has fallen, by less than `min_change`
        if held[-1] == lowest or (fall > FALLING and held[-1] <= lowest * (1 + FALLING)):
            yield self.finding(
                "training.early_stopping",
                "training was stopped after {epochs} of {planned} epochs, though the loss was still falling: patience "
                "{patience}, min_change {change:g}",
                Evidence("share of the epochs that were trained", epochs / planned, SHARE),
                values={
                    "epochs": epochs,
                    "planned": planned,
                    "patience": rule.patience,
                    "change": rule.min_change,
                },
                remedies=("more_patience", "raise_rate"),
                confidence=0.6,
            )
