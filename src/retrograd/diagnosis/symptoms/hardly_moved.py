"""Weights that hardly change."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.update.selection import is_weight

MOVED = threshold("S07", "moved")


@symptoms.register(
    "hardly_moved",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adadelta": 0.001}),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adadelta": 1.0}),
    ),
)
class HardlyMoved(Symptom):
    """All updates together hardly change the weights of any layer: at the end, the network computes what its random
    weights computed at the start, whatever the learning rate.

        moved = rms(final weights - initial weights) / rms(initial weights), for the layer with the largest change
    """

    code = "S07"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the largest change of a layer's weights over the whole run."""
        run, first = program.observed, program.start.variables
        if run is None or run.broken or first is None:
            return
        moved = []
        for path, name in ((path, name) for path, params in first.params.items() for name in params):
            start = np.asarray(first.params[path][name], np.float64)
            if not is_weight(name, start):
                continue
            if not start.any():
                return  # a change from 0 has no scale
            change = np.asarray(run.variables.params[path][name], np.float64) - start
            moved.append(float(np.sqrt(np.mean(change**2) / np.mean(start**2))))
        if moved and max(moved) < MOVED:
            yield self.finding(
                "optimizer.learning_rate",
                "after {steps:,} updates, no layer's weights have changed by more than {moved:.2g} of their size",
                Evidence("change of the weights / their size", max(moved), MOVED),
                values={"steps": run.steps, "moved": max(moved)},
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.55,
            )
