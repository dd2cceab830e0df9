"""A loss that is summed over the batch."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

SUMMED = {"mean_squared_error": {"reduction": "sum"}}


@symptoms.register(
    "summed_loss",
    examples=Examples(
        sick=setup("line", network=[*HEAD, {"dense": 1}], loss=SUMMED, optimizer={"sgd": 0.01}),
        healthy=setup("line", network=[*HEAD, {"dense": 1}], optimizer={"sgd": 0.01}),
        near_miss=setup("line", network=[*HEAD, {"dense": 1}], loss=SUMMED, optimizer={"adam": 0.01}),
    ),
)
class SummedLoss(Symptom):
    """A sum grows with the batch size, and so does every gradient: in effect, the learning rate is multiplied by the
    batch size. Adaptive optimizers are not affected.
    """

    code = "S16"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a summed loss with an optimizer whose steps depend on the gradient's size."""
        if getattr(program.graph.loss, "reduction", "mean") == "sum" and program.optimizer_kind == "sgd":
            rows = program.prepared.batch_size if program.prepared else program.dataset.rows["train"]
            yield self.finding(
                "loss.reduction",
                "the loss is summed over {rows} rows: gradients, and so steps, are {rows} times those of the mean",
                Evidence("effective factor of the learning rate", rows, 1),
                values={"rows": rows},
                remedies=("mean_loss", "lower_rate"),
                confidence=0.85,
            )
