"""Gradients that are lost, or changed at a moment when that means nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, called

FEWEST, MOST = 2, 0.5  # steps; share of them


@loop_faults.register("gradients_thrown_away")
class GradientsThrownAway(LoopFault):
    """Gradients are set to zero before a step has used them."""

    code = "U01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many of the backward passes of a step are lost."""
        lossy = [pair for pair in journal.discards if pair[0]]
        if len(lossy) < FEWEST or len(lossy) < MOST * len(journal.discards):
            return
        (gone, used), _ = Counter(lossy).most_common(1)[0]
        where = "between them and the step" if gone + used > 1 else "between it and the step, which finds nothing"
        one = gone + used == 1
        yield self.finding(
            _zeroing(journal) or journal.places.get("backward"),
            "{gone} of {passes} backward passes {verb} thrown away: zero_grad lies {where}",
            Evidence("backward passes of a step whose gradients are lost", gone, 0.0),
            Evidence("steps that were seen to lose some", len(lossy), FEWEST),
            values={"gone": gone, "passes": gone + used, "verb": "is" if one else "are", "where": where},
            remedy="call zero_grad() right after optimizer.step(), and nowhere between backward() and the step",
            confidence=0.985,
        )


@loop_faults.register("clipping_in_vain")
class ClippingInVain(LoopFault):
    """Gradients are clipped while there are none yet, or while a GradScaler's factor is still in them."""

    code = "U17"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the line that clips, and what it clips."""
        states = Counter(state for _, state in journal.clips)
        for state in ("scaled", "empty"):
            if states[state] < FEWEST or states[state] < MOST * len(journal.clips):
                continue
            place = Counter(place for place, each in journal.clips if each == state).most_common(1)[0][0]
            factor = journal.clip_scale
            if state == "scaled":
                words = (
                    f"the gradients are clipped while still scaled (scale {factor:g}): "
                    f"the limit is {factor:g} times too small"
                )
                remedy = "call scaler.unscale_(optimizer) before the gradients are clipped"
            else:
                words = (
                    "the gradients are clipped before backward() has made any: they are None, and nothing is clipped"
                )
                remedy = "move this line between loss.backward() and optimizer.step()"
            yield self.finding(
                place, words, Evidence("calls of clipping that were seen so", states[state], FEWEST), remedy=remedy,
                confidence=0.98,
            )  # fmt: skip


def _zeroing(journal: Journal) -> Place | None:
    """Return the line of the user's that sets gradients to zero, the nearest to the backward pass."""
    place = journal.places.get("backward")
    if place is None:
        return None
    lines = called(place.file, lambda name: name == "zero_grad")
    return min(lines, key=lambda each: abs(each.line - place.line)) if lines else None
