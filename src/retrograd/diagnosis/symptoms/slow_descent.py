"""Plain gradient descent that is on its way when training ends, at a rate far below what is stable."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

TIMID = threshold("S07", "timid")
FALLING = 0.03  # of the loss, in the last quarter of the epochs: a run that gains less is at its end
FEWEST = 4  # epochs: of fewer, a quarter is not one


@symptoms.register(
    "slow_descent",
    examples=Examples(
        sick=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.0005}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("line", network=[{"dense": 1}], optimizer={"sgd": {"learning_rate": 0.002, "momentum": 0.98}}),
    ),
)
class SlowDescent(Symptom):
    """The loss still falls when training ends, and many times larger steps would be stable.

    stable:  rate x lambda < 2 (1 + momentum),  lambda the largest eigenvalue of the Hessian at the first weights
    """

    code = "S07"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield how far below the stable rate the steps were, where the last still gained."""
        observed = program.observed
        if program.optimizer_kind != "sgd" or observed is None or observed.broken or program.prepared is None:
            return
        losses = np.asarray(observed.losses)
        if len(losses) < FEWEST or losses[-1] > (1 - FALLING) * losses[-1 - len(losses) // 4]:
            return
        curvature = program.start.curvature
        if not np.isfinite(curvature) or curvature <= 0:  # as of losses made of straight lines: it bounds no rate
            return
        momentum = float(getattr(program.config.optimizer, "momentum", 0.0) or 0.0)
        step = program.mean_rate / (1 - momentum)  # not the last rate, which a schedule brings to 0
        stable = 2 * (1 + momentum) / curvature
        if step < TIMID * stable:
            yield self.finding(
                "optimizer.learning_rate",
                "the loss still falls when training ends, and steps {times:.2g} times as long would be stable",
                Evidence("rate / (1 - momentum)", step, TIMID * stable),
                values={"times": stable / step},
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.6,
            )
