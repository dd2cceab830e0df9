"""Class weights under which most rows hardly count."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

RATIO = threshold("S20", "ratio")


def weighted(weight: float) -> dict[str, object]:
    """Return the loss with this weight for the second class."""
    return {"binary_cross_entropy": {"positive_weight": weight}}


@symptoms.register(
    "loss_weights",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], loss=weighted(100.0)),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("rare", network=[*HEAD, {"dense": 1}], loss=weighted(19.0)),
    ),
)
class LossWeights(Symptom):
    """Class weights should let rare classes count as much as frequent ones. Far beyond that, the loss is lowest when
    nearly every row is predicted as the heavy class.

        ratio = largest / smallest of (weight x rows) over the classes
    """

    code = "S20"
    stage = "data"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield weights that make the classes less balanced than without weights."""
        if not program.data.classifies or program.data.y is None:
            return
        counts = np.bincount(program.data.y).astype(float)
        weights = np.ones(len(counts))
        setting = "class_weights" if getattr(program.graph.loss, "class_weights", None) else "positive_weight"
        configured = np.atleast_1d(np.asarray(getattr(program.graph.loss, setting, 1.0), float))
        if setting == "class_weights" and len(configured) == len(counts):
            weights = configured
        elif setting == "positive_weight" and len(counts) == 2 and len(configured) == 1:
            weights[1] = configured[0]
        totals = (weights * counts)[counts > 0]
        ratio, before = (float(sums.max() / max(sums.min(), 1e-300)) for sums in (totals, counts[counts > 0]))
        if ratio > RATIO and ratio > before:
            heavy = program.dataset.class_name(int(np.argmax(weights * counts)))
            yield self.finding(
                f"loss.{setting}",
                "with these weights, class {heavy} counts {ratio:.3g} times as much as another class; without weights, "
                "the ratio is {before:.3g}",
                Evidence("largest / smallest of weight x rows", ratio, RATIO),
                values={"heavy": heavy, "ratio": ratio, "before": before},
                remedies=("plain_weights", "weigh_classes"),
                confidence=0.8,
            )
