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
    """What a layer drops, no later layer brings back: a place that is averaged away, a length that is normalised, steps
    or features that are not taken. Models without a network are fitted on what goes in and on what comes out.

        lost = (score with its inputs - score with its outputs) / (score with its inputs - score of a constant)
    """

    code = "S22"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layer without weights that loses most of what predicts the answers."""
        loss = program.loss_on_the_way
        if loss is not None:
            yield self.finding(
                program.graph.line(loss.node),
                "with what goes into it, models without a network score {before:.3g}; with what comes out, {after:.3g}",
                Evidence("score with its outputs", loss.after, loss.before),
                values={"before": loss.before, "after": loss.after},
                remedies=("without_lossy_layer",),
                confidence=0.8 if loss.is_first else 0.4,  # weights may learn to bring what a later layer keeps
            )
