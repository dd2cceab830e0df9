"""Training mode and evaluation mode, mixed up."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal


def _moody(journal: Journal) -> str:
    return ", ".join(journal.moody[:3])


@loop_faults.register("trains_in_eval")
class TrainsInEval(LoopFault):
    """Training runs in evaluation mode: dropout is off, batch norm uses averages that stand still."""

    code = "U04"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many backward passes go through such a forward pass."""
        if journal.eval_steps < 2:
            return
        yield self.finding(
            journal.places.get("eval_forward") or journal.places.get("forward"),
            f"{journal.eval_steps} of {journal.backwards} training passes run in evaluation mode"
            + (f", and {_moody(journal)} act differently there" if journal.moody else ""),
            Evidence("training passes in evaluation mode", journal.eval_steps, 0.0),
            remedy="call model.train() before every epoch of training",
            severity="fault" if journal.moody else "note",
            confidence=0.95,
        )


@loop_faults.register("validates_in_train")
class ValidatesInTrain(LoopFault):
    """Validation runs in training mode: dropout makes it noisy, batch norm learns from it."""

    code = "U05"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the passes in training mode that no backward pass uses."""
        unused = journal.blind + journal.unguarded
        if unused == 0 or journal.backwards == 0 or not journal.moody or _in_turns(journal):
            return  # without such modules the mode changes nothing, and not every pass is heard
        yield self.finding(
            journal.places.get("blind") or journal.places.get("unguarded") or journal.places.get("forward"),
            f"{unused} passes that nothing is learned from run in training mode: "
            f"{_moody(journal)} make two passes over the same rows differ",
            Evidence("passes in training mode without a backward pass", unused, 0.0),
            remedy="call model.eval() before validation, and model.train() after it",
            confidence=0.94,
        )


def _in_turns(journal: Journal) -> bool:
    """Return whether such passes alternate with training on ever new inputs, as when one network feeds another."""
    prints = journal.blind_prints
    alternate = journal.blind_runs == journal.blind and journal.blind >= 0.9 * journal.backwards
    return alternate and journal.blind > 3 and max(prints.values(), default=0) <= 1
