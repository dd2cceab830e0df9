"""A schedule that leaves little of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms
from retrograd.update.schedule import Schedule

SHARE = threshold("S18", "share")
WARMUP = {"constant": {"initial": 0.01, "warmup": 100_000}}


@symptoms.register(
    "rate_schedule",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": {"learning_rate": WARMUP}}),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": 0.01}),
        near_miss=setup(
            "halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": {"learning_rate": {"cosine": 0.01}}}
        ),
    ),
)
class RateSchedule(Symptom):
    """With a warm-up that outlasts training, or a rate that vanishes within the first steps, the weights move much less
    than the configured rate suggests.

        share = mean rate over all steps / configured rate
    """

    code = "S18"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the mean rate as a share of the configured rate."""
        schedule = program.config.optimizer.learning_rate
        if program.prepared is None or not isinstance(schedule, Schedule):
            return
        stated, steps = program.config.optimizer.first_rate, program.prepared.steps
        share = program.mean_rate / stated
        if share < SHARE:
            form = "the learning rate decays too soon: over {steps:,} updates it averages {mean:.3g}, not {stated:g}"
            if schedule.warmup > steps:
                form = (
                    "the warm-up of {warmup:,} updates outlasts the {steps:,} updates of training: the learning rate "
                    "averages {mean:.3g}, not {stated:g}"
                )
            yield self.finding(
                "optimizer.learning_rate",
                form,
                Evidence("mean rate / configured rate", share, SHARE),
                values={"steps": steps, "mean": program.mean_rate, "stated": stated, "warmup": schedule.warmup},
                remedies=("constant_rate", "more_updates"),
                confidence=0.85,
            )
