"""A rule that ends a run which is still learning."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.observe import Observed, finite
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SHARE = threshold("B26", "epochs")
FALLING = threshold("B26", "fall")
RULES = {
    "early stopping": ("early stopping", "early_stopping"),
    "goal": ("the goal", "goal"),
    "converged": ("the rule of convergence", "convergence"),
    "time limit": ("the time limit", "time_limit"),
}  # by the reason that a run gives: in words, and the setting
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
    patience mistakes the noise of one evaluation for the end, a large `min_change` a slow descent. A goal that is
    easily reached, a loose rule of convergence or a time limit end a run as well.
    """

    code = "B26"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a run that was ended in its first half, by early stopping while the losses were still falling."""
        run, settings = program.observed, program.config.training
        if run is None or run.stopped not in RULES or len(run.losses) > SHARE * settings.epochs:
            return
        rule = settings.early_stopping
        if run.stopped == "early stopping" and not _falls(run):
            return
        patience = f": patience {rule.patience}, min_change {rule.min_change:g}" if rule is not None else ""
        how, where = RULES[run.stopped]
        yield self.finding(
            f"training.{where}",
            "{how} ended training after {epochs} of {planned} epochs, when there was more to learn{patience}",
            Evidence("share of the epochs that were trained", len(run.losses) / settings.epochs, SHARE),
            values={
                "how": how,
                "epochs": len(run.losses),
                "planned": settings.epochs,
                "patience": patience if where == "early_stopping" else "",
            },
            remedies=("more_patience", "raise_rate") if where == "early_stopping" else ("train_to_the_end",),
            confidence=0.6,
        )


def _falls(run: Observed) -> bool:
    """Return whether the losses were still falling when early stopping had seen enough."""
    losses, held = finite(run.losses), finite(tuple(moment.held_out_loss for moment in run.moments))
    if len(losses) < 2 or not len(held):
        return False
    fall = float(1 - losses[-1] / losses[-1 - max(1, len(losses) // 4)]) if losses[-1] > 0 else 0.0
    lowest = float(np.min(held))
    # a loss that ends at its lowest value has fallen, by less than `min_change`
    return bool(held[-1] == lowest or (fall > FALLING and held[-1] <= lowest * (1 + FALLING)))
