"""A loss that jumps up and down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.observe import finite
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

CORRELATION, JUMPS = threshold("B10", "correlation"), threshold("B10", "jumps")
FEWEST = 10  # minimum number of epochs: the standard error of the correlation is then 0.3


@symptoms.register(
    "oscillation",
    examples=Examples(
        sick=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.9},
                   training={"epochs": 30, "batch_size": "all"}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("halves", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}],
                        training={"epochs": 30, "batch_size": 4}),
    ),
)  # fmt: skip
class Oscillation(Symptom):
    """Each epoch undoes the previous one: the steps are longer than the width of the loss's valley."""

    code = "B10"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the lag-1 correlation of the loss's changes after the first quarter, if they are large or if the loss
        rises.
        """
        losses = finite(program.observed.losses) if program.observed is not None else np.zeros(0)
        losses = losses[len(losses) // 4 :]  # the first quarter is the descent itself
        if len(losses) < FEWEST:
            return
        steps = np.diff(losses)
        jump = float(np.std(steps) / max(np.mean(np.abs(losses)), 1e-12))
        worst = float(np.max(losses) / max(np.min(losses), 1e-12))
        correlation = float(np.corrcoef(steps[1:], steps[:-1])[0, 1]) if np.std(steps) > 0 else 0.0
        rising = losses[-1] > 2 * losses[0]
        # half above the smallest loss is noise; ten times is not
        if (correlation < CORRELATION and jump > JUMPS and worst > 1.5) or (rising and worst > 10):
            yield self.finding(
                "optimizer.learning_rate",
                "the loss jumps by {jump:.0%} from one epoch to the next",
                Evidence("correlation of successive changes", correlation, CORRELATION),
                Evidence("size of the jumps / loss", jump, JUMPS),
                values={"jump": jump},
                remedies=("lower_rate", "larger_batch"),
                confidence=0.4,
            )
