"""Training mode and evaluation mode mixed up."""

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
    """Training runs in evaluation mode: dropout is off, and batch norm uses averages that do not change."""

    code = "U04"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of training passes in evaluation mode."""
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
                "why": f", where {_moody(journal)} behave differently" if journal.moody else "",
            },
            remedy="call model.train() after each validation, before training continues",
            severity="fault" if journal.moody else "note",
            confidence=0.95,
        )


def _forgotten(journal: Journal) -> bool:
    """Return whether parts are in evaluation mode by mistake, although the model's own flag says training.

    They are if other training passes have them in training mode, or if dropout next to trainable parameters is always
    off. Batch norm that is always in evaluation mode is deliberate, as in fine-tuning.
    """
    others = journal.judged_passes - journal.eval_steps - journal.parts_in_eval
    return others > 0 or not Moods(journal.model).kept_still()


@loop_faults.register("validates_in_train")
class ValidatesInTrain(LoopFault):
    """Validation runs in training mode: dropout makes it noisy, and batch norm learns from it."""

    code = "U05"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of passes in training mode that no backward pass uses."""
        unused = journal.blind + journal.unguarded
        if unused == 0 or journal.backwards == 0 or not journal.moody or _in_turns(journal):
            return  # without such modules, the mode changes nothing, and not every pass is observed
        if _samples(journal):
            return
        yield self.finding(
            journal.places.get("blind") or journal.places.get("unguarded") or journal.places.get("forward"),
            "{unused} passes without a backward pass run in training mode: because of {layers}, two "
            "passes over the same rows differ",
            Evidence("passes in training mode without a backward pass", unused, 0.0),
            values={"unused": unused, "layers": _moody(journal)},
            remedy="call model.eval() before validation and model.train() after it",
            confidence=0.94,
        )


def _in_turns(journal: Journal) -> bool:
    """Return whether such passes alternate with training passes on new inputs, as when one network feeds another."""
    prints = journal.blind_prints
    # nine in ten: the first and the last may have no partner
    alternate = journal.blind_runs == journal.blind and journal.blind >= 0.9 * journal.backwards
    return alternate and journal.blind > 3 and max(prints.values(), default=0) <= 1


def _samples(journal: Journal) -> bool:
    """Return whether the passes only show samples, as of a generator: one fixed input, and no loss on its outputs."""
    same_inputs = journal.unguarded == 0 and len(journal.blind_prints) == 1
    return bool(journal.others) and same_inputs and not journal.answers
