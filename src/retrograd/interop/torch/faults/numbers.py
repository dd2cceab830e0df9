"""Numbers that are not finite."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal


@loop_faults.register("nonfinite")
class Nonfinite(LoopFault):
    """The loss, a gradient or an input is NaN or infinite."""

    code = "B01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield inputs that are not finite, and where the loss first was not."""
        if journal.input_nonfinite:
            yield self.finding(
                journal.places.get("forward"), "the inputs contain NaN or infinity",
                remedy="drop or fill such rows before training", code="D04", confidence=0.9,
            )  # fmt: skip
        losses = journal.losses
        if losses.nonfinite:
            where = f"; first seen in {journal.first_bad}" if journal.first_bad else ""
            yield self.finding(
                journal.places.get("backward"),
                "the loss is NaN or infinite in {nonfinite} of {passes} passes read, first "
                "in backward pass {first}{where}",
                Evidence("losses that are not finite", losses.nonfinite, 0.0),
                values={
                    "nonfinite": losses.nonfinite,
                    "passes": losses.count,
                    "first": losses.first_nonfinite,
                    "where": where,
                },
                remedy="use a smaller learning rate, scaled inputs, and losses on logits (no log of a probability)",
                confidence=0.6,
            )
