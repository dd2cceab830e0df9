"""Targets that a loss does not take, and logits that cannot be what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

FEWEST = 2  # calls, or looks: the first may be a trial run
HALF = threshold("B06", "share")
CURES = {
    "numbers from 0 to 1": "classes are 0 and 1: (y == positive).float(); shares are divided by their largest",
    "-1 and 1": "write 2 * y - 1 for classes 0 and 1",
    "probabilities of classes that sum to 1": "for several classes at once: binary_cross_entropy_with_logits",
}


@loop_faults.register("target_out_of_domain")
class TargetOutOfDomain(LoopFault):
    """Targets outside the values for which a loss is defined: it falls without end, or has its minimum elsewhere."""

    code = "S03"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the loss, what it takes and what it gets."""
        seen = list(journal.targets)
        wrong = [each for each in seen if each[2]]
        if len(wrong) < FEWEST:
            return
        place, name, expected, low, high = wrong[-1]
        low, high = min(each[3] for each in wrong), max(each[4] for each in wrong)
        yield self.finding(
            place,
            "{name} expects {expected} as targets, but gets numbers from {low:.4g} to {high:.4g}",
            Evidence("losses with such targets", len(wrong), FEWEST),
            values={"name": name, "expected": expected, "low": low, "high": high},
            remedy=CURES.get(expected, "bring the targets into that range, or choose another loss"),
            confidence=0.97,
        )


@loop_faults.register("relu_on_logits")
class ReluOnLogits(LoopFault):
    """Relu stands in front of softmax or sigmoid: logits cannot be negative, and a unit at 0 learns no more."""

    code = "B06"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the share of dead logits over the looks."""
        seen = journal.relu_logits
        if len(seen) < FEWEST:
            return
        place, last = seen[-1]
        dead = float(last.float().mean())
        words = (
            f"{dead:.0%} of the last layer's units respond to no row: their logits are 0 and get no gradient"
            if dead >= HALF
            else "no logit can be negative, and one that is 0 for all rows gets no gradient any more"
        )
        yield self.finding(
            place,
            "relu comes before the softmax or sigmoid: {words}",
            Evidence("share of dead logits, last look", dead, HALF),
            Evidence("median of the looks", median(float(each.float().mean()) for _, each in seen)),
            values={"words": words},
            remedy="no activation after the last layer: it returns the logits",
            severity="fault" if dead >= HALF else "risk",
            confidence=0.96 if dead >= HALF else 0.7,
        )
