"""Parameters that no gradient reaches."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.present.wording import some_of
from retrograd.update.selection import matches


@symptoms.register(
    "untrained",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {"units": 8, "activation": "relu", "weight": "zeros"}}, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[*HEAD, {"dense": 1, "frozen": True}]),
    ),
)
class Untrained(Symptom):
    """A gradient is exactly 0 before and after training: the parameter cannot learn."""

    code = "B08"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the weights whose gradients are exactly 0 at the start and at the end."""
        if program.start.health is None or program.graph.network is None:
            return
        moments = [program.start.health]
        if program.observed is not None and program.observed.moments:
            moments += [moment.health for moment in program.observed.moments[-1:] if moment.health]
        frozen = {node.name for node in program.graph.nodes if node.frozen}
        dead = [
            path
            for path in program.start.health.grads
            if path.rpartition("/")[0] not in frozen
            and not matches(path, program.config.freeze)
            and path.endswith("/weight")
            and all(float(moment.grads[path].largest) == 0 for moment in moments if path in moment.grads)
        ]
        if dead:
            yield self.finding(
                dead[0],
                "the gradient of {paths} is exactly 0",
                Evidence("weights without a gradient", len(dead), 0),
                values={"paths": some_of(dead, 3)},
                remedies=("default_initial_weights", "match_output", "leaky"),
                severity="fault",
                confidence=0.4,
            )
