"""Initial biases that put all rows on one side of an activation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

SPREADS = threshold("S06", "bias")
HEAD = {"units": 16, "activation": "relu"}


@symptoms.register(
    "initial_bias",
    examples=Examples(
        sick=setup("halves", network=[{"dense": {**HEAD, "bias": {"constant": -20.0}}}, {"dense": 1}]),
        healthy=setup("halves", network=[{"dense": HEAD}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": HEAD}, {"dense": {"units": 1, "bias": {"constant": -20.0}}}]),
    ),
)
class InitialBias(Symptom):
    """A bias much larger than the spread of the values it is added to decides by itself on which side of its bend a
    unit operates: a relu is dead or linear for every row, a sigmoid or tanh is flat.
    """

    code = "S06"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the hidden layer with the largest biases relative to the spread of its outputs over the rows."""
        initial, variables = program.start.pass_, program.start.variables
        if initial is None or variables is None:
            return
        activated = {node.inputs[0] for node in program.graph.hidden_activations}
        times = {}
        for node in program.graph.hidden:
            bias = np.asarray(variables.params.get(node.name, {}).get("bias", 0.0), np.float64)
            if node.name not in activated or not bias.any():
                continue
            outputs = np.asarray(initial.outputs[node.name], np.float64)
            spread = outputs.reshape(-1, outputs.shape[-1]).std(0)
            times[node.name] = float(np.median(np.abs(bias) / np.maximum(spread, 1e-30)))
        worst = max(times, key=lambda name: times[name], default=None)
        if worst is not None and times[worst] > SPREADS:
            yield self.finding(
                f"{program.graph.line(worst)}/bias",
                "the initial biases are {times:.3g} times the spread of the values they are added to: every row "
                "falls on the same side of the activation",
                Evidence("|bias| / deviation of the layer's outputs", times[worst], SPREADS),
                values={"times": times[worst]},
                remedies=("default_initial_weights",),
                confidence=0.85,
            )
