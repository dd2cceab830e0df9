"""Hidden layers with very few units."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

FEWEST = threshold("S13", "units")


@symptoms.register(
    "narrow",
    examples=Examples(
        sick=setup("wave", network=[{"dense": {"units": 2, "activation": "relu"}}, {"dense": 1}]),
        healthy=setup("wave", network=[{"dense": {"units": 32, "activation": "relu"}}, {"dense": 1}]),
        near_miss=setup("line", network=[{"dense": 1}]),
    ),
)
class Narrow(Symptom):
    """Information that does not fit through a narrow layer is lost to all later layers."""

    code = "S13"
    stage = "static"
    by_chance = True

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the narrowest hidden layer."""
        if program.graph.specs is None:
            return
        widths = {
            node: program.graph.specs[node.name].shape[-1]
            for node in program.start.weighted
            if node in program.graph.hidden and node.layer.kind != "embedding"
        }
        if widths and min(widths.values()) <= FEWEST:
            node = min(widths, key=lambda node: widths[node])
            yield self.finding(
                program.graph.line(node),
                "only {units} units",
                Evidence("units of the narrowest hidden layer", widths[node], FEWEST),
                values={"units": widths[node]},
                remedies=("widen",),
                confidence=0.4 if widths[node] > 2 else 0.5,
            )
