"""User-defined functions whose backward is not the derivative of their forward."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place

AGAINST = ", compared with central differences in float64"


@loop_faults.register("wrong_backward")
class WrongBackward(LoopFault):
    """An `autograd.Function` in the graph returns gradients that differ from central differences in float64."""

    code = "G01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the functions, with the line of their backward method."""
        for wrong in journal.functions.wrong():
            yield self.finding(
                Place(wrong.file, wrong.line) if wrong.file else wrong.name,
                "{function}.backward is not the derivative of its forward{how}",
                Evidence("relative error of the gradient", wrong.error, threshold("G01", "error")),
                values={"function": wrong.name, "how": f": {wrong.hint}" if wrong.hint else AGAINST},
                remedy=f"see which tensors are wrong: retrograd.torch.check({wrong.name}, *inputs)",
                confidence=0.995,
            )
