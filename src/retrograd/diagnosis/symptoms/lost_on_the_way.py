"""Layers without weights that drop what the answers depend on."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms


@symptoms.register(
    "lost_on_the_way",
    examples=Examples(
        sick=setup("halves", network=[{"take": [2, 3]}, *HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[{"take": [0, 1]}, *HEAD, {"dense": 1}]),
    ),
)
class LostOnTheWay(Symptom):
    """No later layer can recover what a layer drops: a position that is averaged away, a length that is normalised,
    steps or features that are not selected. Models without a network are fitted on its inputs and on its outputs.

        lost = (score with its inputs - score with its outputs) / (score with its inputs - score of a constant)
    """

    code = "S22"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layer without weights that loses most of what predicts the answers, if one loses much."""
        loss = program.loss_on_the_way
        if loss is not None:
            yield self.finding(
                program.graph.line(loss.node),
                "models without a network score {before:.3g} on this layer's inputs, but {after:.3g} on its outputs",
                Evidence("score with its outputs", loss.after, loss.before),
                values={"before": loss.before, "after": loss.after},
                remedies=("without_lossy_layer",),
                confidence=0.8 if loss.is_first else 0.4,  # weights before it may learn outputs that survive the layer
            )
