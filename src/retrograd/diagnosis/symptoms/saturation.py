"""Units in the flat part of their activation."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

SHARE = threshold("B07", "share")
HEAD = [{"dense": {"units": 16, "activation": "tanh"}}]
BOUNDED = ("sigmoid", "tanh", "softsign", "hard_sigmoid")


@symptoms.register(
    "saturation",
    examples=Examples(
        sick=setup("halves", {"stretch": 300.0}, network=[*HEAD, {"dense": 1}]),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup("halves", {"stretch": 300.0}, network=[{"dense": {"units": 16, "activation": "relu"}},
                                                               {"dense": 1}]),
    ),
)  # fmt: skip
class Saturation(Symptom):
    """Sigmoid and tanh are flat far from 0, and deltas vanish there."""

    code = "B07"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layer with the largest share of saturated units, at the initial weights or at the end."""
        moments = [program.start.health]
        if program.observed is not None and program.observed.moments:
            moments.append(program.observed.moments[-1].health)
        kinds = {node.name: node.layer.kind for node in program.graph.hidden}
        for health, when in zip(moments, ("from the start", "at the end"), strict=False):
            shares = {} if health is None else {
                path: float(u.saturated) for path, u in health.units.items() if kinds.get(path) in BOUNDED
            }  # fmt: skip
            if shares and max(shares.values()) >= SHARE and program.graph.network is not None:
                path = max(shares, key=lambda path: shares[path])
                yield self.finding(
                    program.graph.line(program.graph.network.by_name[path]),
                    "{share:.0%} of the units are saturated {when}",
                    Evidence("share of saturated units", shares[path], SHARE),
                    values={"share": shares[path], "when": when},
                    remedies=("scale_inputs", "default_initial_weights", "hidden_relu", "lower_rate"),
                    confidence=0.45,
                )
                return
