"""A rule that ends a run while it is still learning."""

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
    "converged": ("the convergence rule", "convergence"),
    "time limit": ("the time limit", "time_limit"),
}  # by a run's stop reason: text, and setting
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
    """Early stopping ends a run after `patience` evaluations that lower the loss by less than `min_change`. With little
    patience, the noise of one evaluation ends it; with a large `min_change`, a slow descent does. A goal that is easily
    reached, a loose convergence rule or a time limit can end a run too soon as well.
    """

    code = "B26"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the rule that ended the run in its first half; early stopping only if the losses were still falling."""
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
            Evidence("trained share of the epochs", len(run.losses) / settings.epochs, SHARE),
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
    """Return whether the losses were still falling when early stopping ended the run."""
    losses, held_out = finite(run.losses), finite(tuple(moment.held_out_loss for moment in run.moments))
    if len(losses) < 2 or not len(held_out):
        return False
    fall = float(1 - losses[-1] / losses[-1 - max(1, len(losses) // 4)]) if losses[-1] > 0 else 0.0
    lowest = float(np.min(held_out))
    # a loss that ends at its lowest value has fallen, by less than `min_change`
    return bool(held_out[-1] == lowest or (fall > FALLING and held_out[-1] <= lowest * (1 + FALLING)))
