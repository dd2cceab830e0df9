"""Values that are not finite."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms


@symptoms.register(
    "nonfinite",
    examples=Examples(
        sick=setup("line", {"stretch": 1e4}, network=[{"dense": 1}], optimizer={"sgd": 1.0}),
        healthy=setup("line", network=[{"dense": 1}], optimizer={"sgd": 0.01}),
        near_miss=setup("line", {"target_stretch": 100.0}, network=[*HEAD, {"dense": 1}]),
    ),
)
class Nonfinite(Symptom):
    """NaN or infinity appears in the first pass or during training; the finding names where first."""

    code = "B01"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the first tensor that is not finite."""
        if program.start.health is not None:
            for kind in ("outputs", "deltas", "grads"):
                readings = getattr(program.start.health, kind)
                order = readings if kind == "outputs" else dict(reversed(readings.items()))
                for path, reading in order.items():
                    if reading.nonfinite:
                        yield self.finding(
                            path,
                            "the first pass yields {count} values that are not finite in the {kind} of {path}",
                            Evidence("values that are not finite", float(reading.nonfinite), 0),
                            values={"count": int(reading.nonfinite), "kind": kind, "path": path},
                            remedies=("match_output", "scale_inputs", "hidden_relu", "default_initial_weights"),
                            severity="fault",
                            confidence=0.6,
                        )
                        return
        if program.observed is not None and program.observed.broken:
            yield self.finding(
                "training",
                "training stopped at a value that is not finite: {value}",
                values={"value": program.observed.broken},
                remedies=("lower_rate", "scale_inputs", "scale_targets", "clip_gradients"),
                severity="fault",
                confidence=0.6,
            )
