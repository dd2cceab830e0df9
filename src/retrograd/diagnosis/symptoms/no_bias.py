"""A first layer without a bias."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.edit import AFFINE
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

HIDDEN = {"units": 8, "activation": "tanh"}


@symptoms.register(
    "no_bias",
    examples=Examples(
        sick=setup("line", network=[{"dense": {**HIDDEN, "bias": False}}, {"dense": {"units": 1, "bias": False}}]),
        healthy=setup("line", network=[{"dense": HIDDEN}, {"dense": 1}]),
        near_miss=setup("line", network=[{"dense": {"units": 8, "bias": False}}, "batch_norm", "tanh", {"dense": 1}]),
    ),
)
class NoBias(Symptom):
    """Without a bias in the first layer, all its units bend at inputs of 0; without any bias at all, the output for
    inputs of 0 is fixed before training starts.

        sigma(0 W1) W2 is the same for every W1

    A normalisation after the layer has its own offset, and a constant feature acts as a bias.
    """

    code = "S15"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the first layer if it has weights and neither a bias nor a substitute for one."""
        if program.start.variables is None or program.data.x is None or not program.start.weighted:
            return
        first = program.start.weighted[0]
        if first.layer.kind not in AFFINE or _has_bias(program, first.name) or _has_constant(program.data.x):
            return
        if len(program.start.weighted) == 1 or any("norm" in node.layer.kind for node in program.graph.nodes):
            return
        others = sum(_has_bias(program, node.name) for node in program.start.weighted)
        what = "no layer has a bias: the output for inputs of 0 is fixed" if not others else "its units have no bias"
        yield self.finding(
            program.graph.line(first),
            "{what}, and every unit of the first layer bends at inputs of 0",
            Evidence("layers with a bias", others, 1),
            values={"what": what},
            remedies=("add_bias", "widen"),
            confidence=0.45 if others else 0.7,
        )


def _has_bias(program: Program, name: str) -> bool:
    assert program.start.variables is not None
    return any("bias" in part for part in program.start.variables.params.get(name, {}))


def _has_constant(x: np.ndarray) -> bool:
    return bool(((np.ptp(x, 0) == 0) & (x[0] != 0)).any())
