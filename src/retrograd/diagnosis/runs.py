"""The runs of a program: one compiled step and one scorer for all seeds."""

from __future__ import annotations

from functools import cached_property

from retrograd.diagnosis.judgement.score import Scorer
from retrograd.diagnosis.observe import Observed, observe
from retrograd.diagnosis.start import Probe
from retrograd.training.prepare import Prepared
from retrograd.update.step import Stepper


class Runs:
    """Trains a prepared run in memory; each run takes at most `seconds`, if set."""

    def __init__(self, prepared: Prepared, probe: Probe, seconds: float | None) -> None:
        self.prepared, self.probe, self.seconds = prepared, probe, seconds

    @cached_property
    def scorer(self) -> Scorer:
        """Scores weights by one number; larger is better."""
        return Scorer(self.prepared)

    @cached_property
    def stepper(self) -> Stepper:
        """The compiled training step."""
        return self.prepared.stepper()

    def of(self, seed: int) -> Observed:
        """Return the run of a seed, observed at a dozen moments."""
        return observe(self.prepared, self.scorer, self.stepper, self.probe.health, seed, seconds=self.seconds)
