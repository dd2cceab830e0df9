"""An activation before the loss that the loss does not expect."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

HEAD = [{"dense": {"units": 8, "activation": "relu"}}]
PROBABILITIES = {"cross_entropy": {"from_logits": False}}
SQUASHING = ("sigmoid", "softmax", "hard_sigmoid", "log_softmax")


@symptoms.register(
    "output_loss_pair",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"dense": 3}, "relu"], loss=PROBABILITIES),
        healthy=setup("blobs", network=[*HEAD, {"dense": 3}, "softmax"], loss=PROBABILITIES),
        near_miss=setup("blobs", network=[*HEAD, {"dense": 3}], loss="cross_entropy"),
    ),
)
class OutputLossPair(Symptom):
    """Cross-entropies on probabilities need a sigmoid or softmax before them, those on logits need none.

    A sigmoid before the cross-entropy of several classes is tolerated: its values are divided by their sum.
    """

    code = "S02"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the pair of the last activation and the loss, if it does not fit."""
        loss = program.loss.kind
        if loss not in ("cross_entropy", "binary_cross_entropy") or not program.tail:
            return
        last = program.output_activations[-1] if program.output_activations else None
        kind = last.layer.kind if last else "none"
        place = program.line(last or program.tail[-1])
        expected = "softmax" if loss == "cross_entropy" else "sigmoid"
        if getattr(program.loss, "from_logits", True):
            if kind != "none" and kind not in SQUASHING:  # squashing twice is a symptom of its own
                yield self.finding(
                    place,
                    f"{kind} cuts or bends the logits before {loss}, which expects them as they are: "
                    "classes whose logit it holds at a bound cannot be told apart",
                    remedies=("match_output",),
                    confidence=0.9,
                )
        elif kind == "none":
            yield self.finding(
                place,
                f"{loss} reads raw outputs as probabilities; behind no {expected} they are clipped, without gradient",
                remedies=("match_output",),
                severity="fault",
                confidence=0.95,
            )
        elif kind not in SQUASHING:
            yield self.finding(
                place,
                f"{kind} gives no probabilities, and {loss} with from_logits: false expects them: "
                "values at 0 have a clipped logarithm and no gradient",
                remedies=("match_output",),
                confidence=0.92,
            )
        elif kind == "sigmoid" and loss == "cross_entropy":
            yield self.finding(
                place,
                "sigmoid gives each class a value of its own; cross_entropy expects shares that sum to 1 (softmax)",
                remedies=("match_output",),
                severity="note",
                confidence=0.3,
            )
