"""Training mode and evaluation mode, mixed up."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen.moods import Moods


def _moody(journal: Journal) -> str:
    return ", ".join(journal.moody[:3])


@loop_faults.register("trains_in_eval")
class TrainsInEval(LoopFault):
    """Training runs in evaluation mode: dropout is off, batch norm uses averages that stand still."""

    code = "U04"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many backward passes go through such a forward pass."""
        wrong = journal.eval_steps + (journal.parts_in_eval if _forgotten(journal) else 0)
        if wrong < 2:
            return
        yield self.finding(
            journal.places.get("eval_forward") or journal.places.get("forward"),
            "{wrong} of {passes} training passes run in evaluation mode{why}",
            Evidence("training passes in evaluation mode", wrong, 0.0),
            values={
                "wrong": wrong,
                "passes": journal.judged_passes,
                "why": f", and {_moody(journal)} act differently there" if journal.moody else "",
            },
            remedy="call model.train() after every validation, before training continues",
            severity="fault" if journal.moody else "note",
            confidence=0.95,
        )


def _forgotten(journal: Journal) -> bool:
    """Return whether parts are in evaluation mode by oversight, though the model's own flag says training.

    They are if other training passes have them in training mode, or if dropout beside trainable parameters is never on.
    Batch norm that always stands still is kept so, as in fine-tuning.
    """
    others = journal.judged_passes - journal.eval_steps - journal.parts_in_eval
    return others > 0 or not Moods(journal.model).kept_still()


@loop_faults.register("validates_in_train")
class ValidatesInTrain(LoopFault):
    """Validation runs in training mode: dropout makes it noisy, batch norm learns from it."""

    code = "U05"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the passes in training mode that no backward pass uses."""
        unused = journal.blind + journal.unguarded
        if unused == 0 or journal.backwards == 0 or not journal.moody or _in_turns(journal):
            return  # without such modules the mode changes nothing, and not every pass is heard
        if _samples(journal):
            return
        yield self.finding(
            journal.places.get("blind") or journal.places.get("unguarded") or journal.places.get("forward"),
            "{unused} passes that nothing is learned from run in training mode: {layers} make two "
            "passes over the same rows differ",
            Evidence("passes in training mode without a backward pass", unused, 0.0),
            values={"unused": unused, "layers": _moody(journal)},
            remedy="call model.eval() before validation, and model.train() after it",
            confidence=0.94,
        )


def _in_turns(journal: Journal) -> bool:
    """Return whether such passes alternate with training on ever new inputs, as when one network feeds another."""
    prints = journal.blind_prints
    # nine in ten: the first and last may miss their partner
    alternate = journal.blind_runs == journal.blind and journal.blind >= 0.9 * journal.backwards
    return alternate and journal.blind > 3 and max(prints.values(), default=0) <= 1


def _samples(journal: Journal) -> bool:
    """Return whether one of several trained models, whose outputs no loss takes as they are, shows what it makes."""
    same_inputs = journal.unguarded == 0 and len(journal.blind_prints) == 1
    return bool(journal.others) and same_inputs and not journal.answers
