"""Output units without a class."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.training.config.output_check import idle_units


@symptoms.register(
    "idle_units",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"dense": 7}]),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("wave", network=[*HEAD, {"dense": 1}]),
    ),
)
class IdleUnits(Symptom):
    """A unit whose class has no rows learns only to stay inactive; it may also be a sign of a wrong encoding."""

    code = "D11"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the output if it has more units than the data have classes."""
        if program.graph.specs is None or program.dataset.classes is None:
            return
        for objective in program.graph.objectives:
            mistakes = idle_units(objective, program.graph.specs, len(program.dataset.classes))
            yield from self.warned(program, mistakes, "match_output")
