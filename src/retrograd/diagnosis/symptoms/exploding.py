"""Outputs or gradients that grow from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

PER_LAYER, OVERALL = threshold("B05", "per_layer"), threshold("B05", "overall")
WIDE = {"units": 16, "activation": "relu"}
LOUD = {**WIDE, "weight": {"normal": {"std_deviation": 2.0}}}


@symptoms.register(
    "exploding",
    examples=Examples(
        sick=setup("halves", network=[{"dense": LOUD}] * 8 + [{"dense": 1}]),
        healthy=setup("halves", network=[{"dense": WIDE}] * 8 + [{"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": LOUD}, {"dense": 1}]),
    ),
)
class Exploding(Symptom):
    """At the initial weights, outputs or deltas grow by a factor per layer, and the factors multiply."""

    code = "B05"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the growth factor per layer of outputs (forward) or of deltas (backward)."""
        if program.start.health is None or len(program.start.relative_gradients) < 3:
            return
        names = [node.name for node in program.start.weighted]
        forward = [float(program.start.health.outputs[name].rms) for name in names]
        back = [float(program.start.health.deltas[name].rms) for name in names if name in program.start.health.deltas]
        for what, sizes in (("outputs", forward), ("deltas", back[::-1])):
            if min(sizes[0], sizes[-1]) <= 0:
                continue
            overall = sizes[-1] / sizes[0]
            per_layer = overall ** (1 / (len(sizes) - 1))
            if overall > OVERALL and per_layer > PER_LAYER:
                yield self.finding(
                    "network",
                    "{what} grow by a factor of {per_layer:.3g} at each of {layers} layers",
                    Evidence("factor per layer", per_layer, PER_LAYER),
                    Evidence("total factor", overall, OVERALL),
                    values={"what": what, "per_layer": per_layer, "layers": len(sizes) - 1},
                    remedies=("default_initial_weights", "normalise", "clip_gradients"),
                    confidence=0.5,
                )
                return
