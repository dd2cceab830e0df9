"""Weights that cannot move as far as they need to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

ADAPTIVE = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lion", "adagrad", "amsgrad")
TIMID = 0.1  # of the usual rate, with which a tenth of the updates would suffice
LEAST, FEW = threshold("S12", "distance"), threshold("S12", "updates")
USUAL = 1e-3  # the rate that Adam's paper recommends, and its default nearly everywhere


@symptoms.register(
    "travel",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": 0.0001}, training={"epochs": 5}),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": 0.01}),
        near_miss=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": 0.1}, training={"epochs": 40}),
    ),
)
class Travel(Symptom):
    """An adaptive optimizer moves a weight by about the learning rate per update: rate x updates bounds the distance.

    Required distance: about 0.3 for weights of the usual scale; half the largest coefficient for a linear network; half
    the target's mean for a linear output that starts at 0.
    """

    code = "S12"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a number of updates, or a rate, that cannot suffice."""
        if program.prepared is None:
            return
        steps = program.prepared.steps
        if program.optimizer_kind in ADAPTIVE:
            distance = program.mean_rate * steps
            needed = self._needed(program)
            rate_lacks, updates_lack = (
                USUAL * steps / max(distance, 1e-30),
                needed / (USUAL * steps),
            )  # the shortfall's two factors
            if distance < needed and steps >= FEW and rate_lacks > max(1 / TIMID, updates_lack):
                yield self._too_slow(program, steps, distance, needed)
                return
            if distance < needed:
                yield self.finding(
                    "training.epochs",
                    "{steps} updates can move a weight by {way:.3g} at most; some need about {needed:.3g}",
                    Evidence("learning rate x updates", distance, needed),
                    values={"steps": steps, "way": distance, "needed": needed},
                    remedies=("more_updates", "raise_rate", *(("scale_targets",) if needed > LEAST else ())),
                    confidence=self._confidence(distance, needed),
                )
                return
        if steps < FEW:
            yield self.finding(
                "training.epochs",
                "only {steps} updates in {epochs} epochs",
                Evidence("updates", steps, FEW),
                values={"steps": steps, "epochs": program.config.training.epochs},
                remedies=("more_updates", "raise_rate"),
                confidence=0.7,
            )

    def _too_slow(self, program: Program, steps: int, distance: float, needed: float) -> Finding:
        """Return the finding for a rate that falls short by a larger factor than the number of updates does."""
        finding = self.finding(
            "optimizer.learning_rate",
            "a learning rate of {rate:g} moves a weight by {way:.3g} at most in {steps} updates, but some need "
            "about {needed:.3g}; the usual rate is {usual:g}",
            Evidence("learning rate x updates", distance, needed),
            values={"rate": program.rate(0), "way": distance, "steps": steps, "needed": needed, "usual": USUAL},
            remedies=("raise_rate", "more_updates"),
            confidence=self._confidence(distance, needed),
        )
        return finding._replace(code="S07")

    def _confidence(self, distance: float, needed: float) -> float:
        """Return a lower confidence if usual weights are within reach and only the scale of the data requires more."""
        if distance >= LEAST:
            return 0.6
        ratio = distance / needed  # the smaller it is, the more certain
        return 0.93 if ratio < 1 / 10 else 0.85 if ratio < 1 / 3 else 0.7

    def _needed(self, program: Program) -> float:
        needed = LEAST
        if program.data.classifies or program.data.y is None or program.graph.output_activations:
            return needed
        needed = max(needed, float(np.abs(program.data.y.mean(0)).max()) / 2)  # of the last bias
        # solving for more features would take too long
        if len(program.start.weighted) == 1 and program.data.x is not None and program.data.x.shape[1] <= 50:
            centred = program.data.x - program.data.x.mean(0)
            scale = np.maximum(centred.std(0), 1e-12)
            ridge = np.linalg.lstsq(
                # a ridge of 1e-4: only against linearly dependent columns
                np.vstack([centred / scale, 1e-2 * np.sqrt(len(centred)) * np.eye(centred.shape[1])]),
                np.vstack(
                    [program.data.y - program.data.y.mean(0), np.zeros((centred.shape[1], program.data.y.shape[1]))]
                ),
                rcond=None,
            )[0]
            needed = max(needed, float(np.abs(ridge / scale[:, None]).max()) / 2)
        return needed
