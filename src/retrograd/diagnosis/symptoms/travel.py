"""Weights that cannot move as far as they must."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

ADAPTIVE = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lion", "adagrad", "amsgrad")
TIMID = 0.1  # of the usual rate, at which ten times fewer updates would do
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

    Needed: about 0.3 for weights of the usual scale; the largest coefficient for a linear network; the target's mean
    for a linear output that starts at 0.
    """

    code = "S12"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a number of updates that cannot suffice."""
        if program.prepared is None:
            return
        steps = program.prepared.steps
        if program.optimizer_kind in ADAPTIVE:
            way = program.mean_rate * steps
            needed = self._needed(program)
            rate_lacks, updates_lack = (
                USUAL * steps / max(way, 1e-30),
                needed / (USUAL * steps),
            )  # the shortfall's two factors
            if way < needed and steps >= FEW and rate_lacks > max(1 / TIMID, updates_lack):
                yield self._too_slow(program, steps, way, needed)
                return
            if way < needed:
                yield self.finding(
                    "training.epochs",
                    "{steps} updates can move a weight by {way:.3g} at most; some need about {needed:.3g}",
                    Evidence("learning rate x updates", way, needed),
                    values={"steps": steps, "way": way, "needed": needed},
                    remedies=("more_updates", "raise_rate", *(("scale_targets",) if needed > LEAST else ())),
                    confidence=self._confidence(way, needed),
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

    def _too_slow(self, program: Program, steps: int, way: float, needed: float) -> Finding:
        """Return the finding that the rate is too small, by a larger factor than the updates are too few."""
        finding = self.finding(
            "optimizer.learning_rate",
            "steps of {rate:g} move a weight by {way:.3g} at most in {steps} updates, and some have "
            "to move by about {needed:.3g}; the usual rate is {usual:g}",
            Evidence("learning rate x updates", way, needed),
            values={"rate": program.rate(0), "way": way, "steps": steps, "needed": needed, "usual": USUAL},
            remedies=("raise_rate", "more_updates"),
            confidence=self._confidence(way, needed),
        )
        return finding._replace(code="S07")

    def _confidence(self, way: float, needed: float) -> float:
        """Return a lower confidence if usual weights are within reach and only the scale of the data demands more."""
        if way >= LEAST:
            return 0.6
        return 0.93 if way < needed / 10 else 0.85 if way < needed / 3 else 0.7  # the wider the gap, the surer

    def _needed(self, program: Program) -> float:
        needed = LEAST
        if program.data.classifies or program.data.y is None or program.graph.output_activations:
            return needed
        needed = max(needed, float(np.abs(program.data.y.mean(0)).max()) / 2)  # of the last bias
        # more features take too long to solve for
        if len(program.start.weighted) == 1 and program.data.x is not None and program.data.x.shape[1] <= 50:
            centred = program.data.x - program.data.x.mean(0)
            scale = np.maximum(centred.std(0), 1e-12)
            ridge = np.linalg.lstsq(
                # a ridge of 1e-4: only for columns that depend on one another
                np.vstack([centred / scale, 1e-2 * np.sqrt(len(centred)) * np.eye(centred.shape[1])]),
                np.vstack(
                    [program.data.y - program.data.y.mean(0), np.zeros((centred.shape[1], program.data.y.shape[1]))]
                ),
                rcond=None,
            )[0]
            needed = max(needed, float(np.abs(ridge / scale[:, None]).max()) / 2)
        return needed
