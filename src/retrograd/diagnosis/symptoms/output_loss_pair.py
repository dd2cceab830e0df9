"""An output activation that does not fit the loss."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.training.config.output_check import unfit_pair

PROBABILITIES = {"cross_entropy": {"from_logits": False}}


@symptoms.register(
    "output_loss_pair",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"dense": 3}, "relu"], loss=PROBABILITIES),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss=PROBABILITIES),
        near_miss=setup("blobs", network=[*HEAD, {"dense": 3}], loss="cross_entropy"),
    ),
)
class OutputLossPair(Symptom):
    """Cross-entropies of probabilities need a sigmoid or softmax before them; those of logits must not have one."""

    code = "S02"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the output activation and the loss if they do not match."""
        network, specs = program.graph.network, program.graph.specs
        if network is None or specs is None:
            return
        for objective in program.graph.objectives:
            yield from self.warned(program, unfit_pair(network, objective, specs), "match_output")
