"""A learning rate against the curvature of the loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

STEEP, SLOW = threshold("S07", "overshoot"), threshold("S07", "standstill")


@symptoms.register(
    "curvature",
    examples=Examples(
        sick=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"sgd": 0.5}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"adam": 0.05}),
    ),
)
class Curvature(Symptom):
    """Gradient descent is stable while rate times largest curvature stays under 2 (1 + momentum); and it gets nowhere
    when rate times curvature times the number of updates is small.

        lambda = largest eigenvalue of the Hessian at the first weights
    """

    code = "S07"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield rates of plain gradient descent that are far too large or too small for the loss's curvature."""
        optimizer = program.config.optimizer
        if program.optimizer_kind != "sgd" or program.prepared is None or program.start.variables is None:
            return
        rate = program.rate(0)
        curvature = program.start.curvature
        if not np.isfinite(curvature) or curvature <= 0:
            return
        momentum = float(getattr(optimizer, "momentum", 0.0) or 0.0)
        bound = 2 * (1 + momentum)
        if rate * curvature > STEEP * bound:
            yield self.finding(
                "optimizer.learning_rate",
                "the learning rate {rate:g} overshoots: at the initial weights rates above {stable:.3g} "
                "diverge along the direction in which the loss is most curved",
                Evidence("learning rate x largest curvature", rate * curvature, bound),
                values={"rate": rate, "stable": bound / curvature},
                remedies=("lower_rate", "clip_gradients", "scale_inputs"),
                confidence=min(0.9, 0.6 + 0.1 * np.log10(rate * curvature / bound)),
            )
        travelled = rate / (1 - momentum) * curvature * program.prepared.steps
        if travelled < SLOW:
            yield self.finding(
                "optimizer.learning_rate",
                "{steps} updates of {rate:g} go nowhere, even along the steepest direction",
                Evidence("learning rate x curvature x updates", travelled, SLOW),
                values={"steps": program.prepared.steps, "rate": rate},
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.8,
            )
