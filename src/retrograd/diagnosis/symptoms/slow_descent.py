"""Gradient descent that has not converged when training ends, at a rate far below the stable one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

TIMID = threshold("S07", "timid")
FALLING = 0.03  # decrease of the loss in the last quarter of the epochs, below which a run has converged
FEWEST = 4  # minimum number of epochs: a quarter is then one epoch


@symptoms.register(
    "slow_descent",
    examples=Examples(
        sick=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.0005}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("line", network=[{"dense": 1}], optimizer={"sgd": {"learning_rate": 0.002, "momentum": 0.98}}),
    ),
)
class SlowDescent(Symptom):
    """The loss is still falling when training ends, and much larger steps would be stable.

    stable: rate x lambda < 2 (1 + momentum), lambda the largest eigenvalue of the Hessian at the initial weights
    """

    code = "S07"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the ratio of the stable rate to the rate, if the loss still falls in the last epochs."""
        observed = program.observed
        if program.optimizer_kind != "sgd" or observed is None or observed.broken or program.prepared is None:
            return
        losses = np.asarray(observed.losses)
        if len(losses) < FEWEST or losses[-1] > (1 - FALLING) * losses[-1 - len(losses) // 4]:
            return
        curvature = program.start.curvature
        if not np.isfinite(curvature) or curvature <= 0:  # as for piecewise linear losses: no bound on the rate
            return
        momentum = float(getattr(program.config.optimizer, "momentum", 0.0) or 0.0)
        step = program.mean_rate / (1 - momentum)  # not the last rate, which a schedule may bring to 0
        stable = 2 * (1 + momentum) / curvature
        if step < TIMID * stable:
            yield self.finding(
                "optimizer.learning_rate",
                "the loss is still falling when training ends, and a rate {times:.2g} times as large would be stable",
                Evidence("rate / (1 - momentum)", step, TIMID * stable),
                values={"times": stable / step},
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.6,
            )
