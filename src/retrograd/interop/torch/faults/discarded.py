"""Gradients that are lost, or clipped at a moment when that has no effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, called

FEWEST, MOST = 2, 0.5  # minimum number of steps, and share of the steps


@loop_faults.register("gradients_thrown_away")
class GradientsThrownAway(LoopFault):
    """Gradients are set to zero before a step has used them."""

    code = "U01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many backward passes per step are lost."""
        losing = [pair for pair in journal.discards if pair[0]]
        if len(losing) < FEWEST or len(losing) < MOST * len(journal.discards):
            return
        (gone, used), _ = Counter(losing).most_common(1)[0]
        where = "between them and the step" if gone + used > 1 else "between it and the step, which has no gradients"
        single = gone + used == 1
        yield self.finding(
            _zeroing(journal) or journal.places.get("backward"),
            "{gone} of {passes} backward passes {verb} lost: zero_grad is called {where}",
            Evidence("backward passes per step whose gradients are lost", gone, 0.0),
            Evidence("steps observed to lose some", len(losing), FEWEST),
            values={"gone": gone, "passes": gone + used, "verb": "is" if single else "are", "where": where},
            remedy="call zero_grad() right after optimizer.step(), and never between backward() and the step",
            confidence=0.985,
        )


@loop_faults.register("clipping_in_vain")
class ClippingInVain(LoopFault):
    """Gradients are clipped before there are any, or while they are still multiplied by a GradScaler's factor."""

    code = "U17"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the line that clips, and the state of the gradients."""
        states = Counter(state for _, state in journal.clips)
        for state in ("scaled", "empty"):
            if states[state] < FEWEST or states[state] < MOST * len(journal.clips):
                continue
            place = Counter(place for place, other in journal.clips if other == state).most_common(1)[0][0]
            factor = journal.clip_scale
            if state == "scaled":
                words = (
                    f"the gradients are clipped while still scaled (scale {factor:g}): "
                    f"the limit is {factor:g} times too small"
                )
                remedy = "call scaler.unscale_(optimizer) before clipping"
            else:
                words = (
                    "the gradients are clipped before backward() has computed any: they are None, so nothing is clipped"
                )
                remedy = "move this line between loss.backward() and optimizer.step()"
            yield self.finding(
                place, words, Evidence("such calls observed", states[state], FEWEST), remedy=remedy,
                confidence=0.98,
            )  # fmt: skip


def _zeroing(journal: Journal) -> Place | None:
    """Return the user's line nearest to the backward pass that sets gradients to zero."""
    place = journal.places.get("backward")
    if place is None:
        return None
    lines = called(place.file, lambda name: name == "zero_grad")
    return min(lines, key=lambda line: abs(line.line - place.line)) if lines else None
