"""A loss for another task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

MIDDLE, ASIDE = 0.5, 0.25  # a quantile beyond the quartiles is no estimate of the middle
DISTANCES = ("mean_squared_error", "mean_absolute_error", "huber")


@symptoms.register(
    "loss_for_task",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss="mean_squared_error"),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}]),
        near_miss=setup("line", network=[*HEAD, {"dense": 1}], loss="mean_absolute_error"),
    ),
)
class LossForTask(Symptom):
    """A distance between class numbers and outputs can be trained, but its gradient vanishes where the answer is most
    wrong; a cross-entropy of quantities has no minimum.
    """

    code = "S04"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the loss if it does not suit the task."""
        loss = program.graph.loss.kind
        levels = np.atleast_1d(getattr(program.graph.loss, "quantile", MIDDLE))
        level = float(levels[0]) if len(levels) == 1 else MIDDLE  # several give a range
        if abs(level - MIDDLE) > ASIDE:
            yield self.finding(
                "loss",
                "outputs estimate the {level:g} quantile, below which {share:.0%} of the targets lie, not their middle",
                values={"level": level, "share": level},
                remedies=("match_output",),
                confidence=0.6,
            )
        if program.data.classifies and loss in DISTANCES:
            squashed = any(node.layer.kind in ("sigmoid", "softmax") for node in program.graph.output_activations)
            warning = "; after a squashing activation its gradient is smallest where the answer is most wrong"
            yield self.finding(
                "loss",
                "{loss} measures distances, but the targets are classes{worst}",
                values={"loss": loss, "worst": warning if squashed else ""},
                remedies=("match_output",),
                confidence=0.45 if loss == "mean_squared_error" else 0.55,
            )
        elif (
            not program.data.classifies
            and program.data.y is not None
            and loss in ("cross_entropy", "binary_cross_entropy")
        ):
            if not np.isin(program.data.y, (0.0, 1.0)).all():
                yield self.finding(
                    "loss",
                    "{loss} compares probabilities, but the targets are quantities",
                    values={"loss": loss},
                    remedies=("match_output", "scale_targets"),
                    severity="fault",
                    confidence=0.93,
                )
        elif program.dataset.task == "multiclass" and loss == "binary_cross_entropy":
            refused = program.refusal is not None  # then the targets are not numbers from 0 to 1
            yield self.finding(
                "loss",
                "binary_cross_entropy treats the classes as independent, but they exclude one another",
                remedies=("match_output",),
                severity="fault" if refused else "risk",
                confidence=0.93 if refused else 0.4,
            )
