"""Targets outside the domain of a loss, and logits that cannot be negative."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

FEWEST = 2  # minimum number of calls or inspections: the first may be a trial run
HALF = threshold("B06", "share")
CURES = {
    "numbers from 0 to 1": "code classes as 0 and 1: (y == positive).float(); divide quantities by their maximum",
    "-1 and 1": "write 2 * y - 1 for classes 0 and 1",
    "class probabilities that sum to 1": "use binary_cross_entropy_with_logits for several labels per row",
}


@loop_faults.register("target_out_of_domain")
class TargetOutOfDomain(LoopFault):
    """Targets outside the domain of a loss: it falls without limit, or has its minimum elsewhere."""

    code = "S03"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the loss, the targets that it expects, and the range of those it gets."""
        wrong = [call for call in list(journal.targets) if call[2]]
        if len(wrong) < FEWEST:
            return
        place, name, expected, low, high = wrong[-1]
        low, high = min(call[3] for call in wrong), max(call[4] for call in wrong)
        yield self.finding(
            place,
            "{name} expects {expected} as targets, but gets numbers from {low:.4g} to {high:.4g}",
            Evidence("losses with such targets", len(wrong), FEWEST),
            values={"name": name, "expected": expected, "low": low, "high": high},
            remedy=CURES.get(expected, "map the targets into that range, or choose another loss"),
            confidence=0.97,
        )


@loop_faults.register("relu_on_logits")
class ReluOnLogits(LoopFault):
    """Relu directly before softmax or sigmoid: logits cannot be negative, and a unit at 0 stops learning."""

    code = "B06"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the share of dead logits over the inspections."""
        readings = journal.relu_logits
        if len(readings) < FEWEST:
            return
        place, last = readings[-1]
        dead = float(last.float().mean())
        words = (
            f"{dead:.0%} of the last layer's units respond to no row: their logits are 0 and get no gradient"
            if dead >= HALF
            else "logits cannot be negative, and one that is 0 for all rows no longer gets a gradient"
        )
        yield self.finding(
            place,
            "relu comes before the softmax or sigmoid: {words}",
            Evidence("share of dead logits, last inspection", dead, HALF),
            Evidence("median over the inspections", median(float(units.float().mean()) for _, units in readings)),
            values={"words": words},
            remedy="remove the activation after the last layer: it should return logits",
            severity="fault" if dead >= HALF else "risk",
            confidence=0.96 if dead >= HALF else 0.7,
        )
