"""A learning rate or momentum unsuited to the curvature of the loss."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedies.update import USUAL_MOMENTUM
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

STEEP, SLOW = threshold("S07", "overshoot"), threshold("S07", "standstill")
FEW = threshold("S12", "updates")
LEFT = float(np.exp(-1))  # share of an oscillation left at the end, below which the momentum has damped it


@symptoms.register(
    "curvature",
    examples=Examples(
        sick=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"sgd": 0.5}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.05}),
        near_miss=setup("line", {"stretch": 30.0}, network=[{"dense": 1}], optimizer={"adam": 0.05}),
    ),
)
class Curvature(Symptom):
    """Gradient descent is stable while rate x lambda < 2 (1 + momentum), and makes no progress if rate x lambda x
    updates is small. If rate x lambda > (1 - sqrt(momentum))^2, it oscillates by sqrt(rate x lambda) radians per step,
    and each step leaves sqrt(momentum) of the oscillation.

        lambda = largest eigenvalue of the Hessian at the initial weights
    """

    code = "S07"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the learning rate or momentum of gradient descent if it is far too large or small for the curvature."""
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
                "the learning rate {rate:g} overshoots: at the initial weights, rates above {stable:.3g} "
                "diverge along the direction in which the loss is most curved",
                Evidence("learning rate x largest curvature", rate * curvature, bound),
                values={"rate": rate, "stable": bound / curvature},
                remedies=("lower_rate", "clip_gradients", "scale_inputs"),
                confidence=min(0.9, 0.6 + 0.1 * np.log10(rate * curvature / bound)),
            )
        mean, steps = program.mean_rate, program.prepared.steps
        left = momentum ** (steps / 2)
        if momentum > USUAL_MOMENTUM and left > LEFT and np.sqrt(mean * curvature) * steps > np.pi:
            yield self.finding(
                "optimizer.momentum",
                "momentum {momentum:g} hardly damps oscillations: {left:.0%} of one along the steepest direction "
                "remains after all {steps} updates; {usual:g} is usual",
                Evidence("sqrt(momentum) to the power of the updates", left, LEFT),
                values={"momentum": momentum, "left": left, "steps": steps, "usual": USUAL_MOMENTUM},
                remedies=("usual_momentum", "lower_rate"),
                confidence=0.8,
            )
        by_step = mean / (1 - momentum) * curvature  # at 1, one step reaches the minimum along the steepest direction
        travelled = by_step * steps
        if travelled < SLOW:
            too_few = FEW / steps > 1 / by_step  # whether the number of updates falls short by more than the rate does
            yield self.finding(
                "optimizer.learning_rate",
                "{steps} updates of {rate:.3g}{average} make no progress, even along the steepest direction",
                Evidence("learning rate x curvature x updates", travelled, SLOW),
                values={
                    "steps": steps,
                    "rate": mean,
                    "average": "" if np.isclose(mean, rate) else " on average",
                },
                remedies=("raise_rate", "more_updates", "adam"),
                confidence=0.5 if too_few else 0.8,
            )
