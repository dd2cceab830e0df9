"""A schedule that leaves little of its learning rate."""

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
    """A warm-up that outlasts training, or a rate that vanishes within the first steps, moves the weights less far
    than the stated rate promises.

        share = mean of the rate over all steps / the schedule's first rate
    """

    code = "S18"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the mean rate as a share of the stated rate."""
        schedule = program.config.optimizer.learning_rate
        if program.prepared is None or not isinstance(schedule, Schedule):
            return
        stated, steps = program.config.optimizer.first_rate, program.prepared.steps
        share = program.mean_rate / stated
        if share < SHARE:
            form = "the learning rate falls too soon: in {steps:,} updates it is {mean:.3g} on average, not {stated:g}"
            if schedule.warmup > steps:
                form = (
                    "the warm-up of {warmup:,} updates outlasts training, which has {steps:,}: the learning rate is "
                    "{mean:.3g} on average, not {stated:g}"
                )
            yield self.finding(
                "optimizer.learning_rate",
                form,
                Evidence("mean rate / stated rate", share, SHARE),
                values={"steps": steps, "mean": program.mean_rate, "stated": stated, "warmup": schedule.warmup},
                remedies=("constant_rate", "more_updates"),
                confidence=0.85,
            )
