"""Units whose derivative is 0 for every row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

SHARE = threshold("B06", "share")
HEAD = {"units": 16, "activation": "relu"}


@symptoms.register(
    "dead_units",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {**HEAD, "bias": {"constant": -20.0}}}, {"dense": 1}]),
        healthy=setup("halves", network=[{"dense": HEAD}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": {"units": 16, "activation": "leaky_relu",
                                                      "bias": {"constant": -20.0}}}, {"dense": 1}]),
    ),
)  # fmt: skip
class DeadUnits(Symptom):
    """A relu unit that no row activates has gradient 0 and never recovers; a whole layer of them cuts the network."""

    code = "B06"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layer with the largest share of dead units at the end of the run, or without a run at its start.

        An output unit counts only if its target is above 0 in some row.
        """
        last = program.observed.moments[-1].health if program.observed and program.observed.moments else None
        health, when = (last, "at the end") if last is not None else (program.start.health, "at the initial weights")
        hidden = {node.name for node in program.graph.hidden}
        dead = {path: float(u.dead) for path, u in health.units.items() if path in hidden} if health else {}
        if health:
            outputs = [node.name for node in program.graph.output_activations if node.name in health.units]
            dead |= {path: float(health.units[path].dead) - rightly_dead(program) for path in outputs}
        if dead and max(dead.values()) >= SHARE and program.graph.network is not None:
            path = max(dead, key=lambda path: dead[path])
            whole = ": nothing passes through the layer" if dead[path] == 1 else ""
            yield self.finding(
                program.graph.line(program.graph.network.by_name[path]),
                "{share:.0%} of the units are dead {when}{whole}",
                Evidence("share of dead units", dead[path], SHARE),
                values={"share": dead[path], "when": when, "whole": whole},
                remedies=("lower_rate", "scale_inputs", "default_initial_weights", "leaky", "widen"),
                confidence=0.45 if dead[path] < 1 else 0.6,
            )


def rightly_dead(program: Program) -> float:
    """Return the share of output units that are dead for a good reason: their target is never above 0."""
    return 0.0 if program.numbers is None else float(np.mean(program.numbers.max(0) <= 0))
