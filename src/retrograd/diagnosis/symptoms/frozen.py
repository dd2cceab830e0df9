"""Layers frozen at random weights."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.network.initializers import Values
from retrograd.present.wording import some_of
from retrograd.update.selection import is_weight, matches


@symptoms.register(
    "frozen",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], freeze=["dense_1/weight"]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[*HEAD, {"dense": 1}], freeze=["dense_1/bias"]),
    ),
)
class Frozen(Symptom):
    """A frozen layer is useful with pretrained weights. With random weights it is a random projection, and no later
    layer can recover what it loses.
    """

    code = "S19"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the weights frozen at random values."""
        if program.prepared is None or program.prepared.start is not None or program.start.variables is None:
            return
        total, frozen = 0, {}
        for node in program.graph.nodes:
            for name, value in program.start.variables.params.get(node.name, {}).items():
                if not is_weight(name, value) or isinstance(getattr(node.layer, name, None), Values):
                    continue
                total += value.size
                if node.frozen or matches(f"{node.name}/{name}", program.config.freeze):
                    frozen[f"{node.name}/{name}"] = value.size
        if frozen:
            share = sum(frozen.values()) / total
            yield self.finding(
                program.graph.line(next(iter(frozen)).rpartition("/")[0]),
                "{paths} is frozen at its random initial values: {share:.0%} of the weights never learn",
                Evidence("share of the weights frozen at random values", share, 0),
                values={"paths": some_of(list(frozen), 3), "share": share},
                remedies=("unfreeze",),
                confidence=0.45 + 0.3 * share,
            )
