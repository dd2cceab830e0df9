"""Functions of the user's own whose backward is not the derivative of their forward."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place


@loop_faults.register("wrong_backward")
class WrongBackward(LoopFault):
    """An `autograd.Function` in the graph returns gradients that differ from central differences in float64."""

    code = "G01"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the functions, by the line of their backward method."""
        for each in journal.functions.wrong():
            yield self.finding(
                Place(each.file, each.line) if each.file else each.name,
                f"{each.name}.backward is not the derivative of its forward"
                + (f": {each.hint}" if each.hint else ", compared with central differences in float64"),
                Evidence("relative error of the gradient", each.error, 1e-3),
                remedy=f"look at the tensors that are wrong: retrograd.torch.check({each.name}, *inputs)",
                confidence=0.995,
            )
