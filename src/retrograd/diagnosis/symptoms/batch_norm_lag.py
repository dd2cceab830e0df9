"""Batch norm whose running averages differ from the statistics of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layer import Context
from retrograd.network.network import Variables
from retrograd.propagation.backprop import forward

GAIN = threshold("B25", "gain")
HEAD = [{"dense": 8}]
TAIL = ["relu", {"dense": 3}]


@symptoms.register(
    "batch_norm_lag",
    examples=Examples(
        sick=setup("blobs", {"shift": 20.0}, network=[*HEAD, {"batch_norm": {"momentum": 0.0005}}, *TAIL]),
        healthy=setup("blobs", network=[*HEAD, "batch_norm", *TAIL]),
        near_miss=setup("blobs", network=[*HEAD, {"batch_norm": {"momentum": 0.03}}, *TAIL]),
    ),
)
class BatchNormLag(Symptom):
    """Batch norm uses the batch's statistics during training, and running averages afterwards. If the same weights
    score well with the statistics of the training rows, the averages are wrong.
    """

    code = "B25"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the scores of the same weights with running averages and with the statistics of the training rows."""
        momenta = {
            node.name: float(momentum)
            for node in program.graph.nodes
            if node.layer.kind == "batch_norm" and (momentum := getattr(node.layer, "momentum", None)) is not None
        }
        if not momenta or program.observed is None or program.observed.broken or program.data.y is None:
            return
        variables = program.observed.variables
        averaged, fresh = (
            program.observed.train_score,
            program.runs.scorer.score(_settled(program, variables, momenta), "train"),
        )
        if fresh - averaged > GAIN:
            yield self.finding(
                program.graph.line(next(iter(momenta))),
                "on the training rows, the weights score {fresh:.3g} with the statistics of these rows, but "
                "{score:.3g} with batch norm's running averages, which lag behind",
                Evidence("training score with running averages", averaged),
                Evidence("with the rows' own statistics", fresh, averaged + GAIN),
                values={"fresh": fresh, "score": averaged},
                remedies=("batch_norm_momentum",),
                severity="fault",
                confidence=0.9,
            )


def _settled(program: Program, variables: Variables, momenta: dict[str, float]) -> Variables:
    """Return the variables with the statistics of the probe's rows as running averages.

    A training pass gives running' = (1 - momentum) running + momentum batch, which is solved for `batch`.
    """
    assert program.graph.network is not None
    ctx = Context(train=True, key=jax.random.key(0))
    after = forward(program.graph.network, variables.params, variables.state, ctx, program.probe.rows).state
    state: dict[str, Any] = dict(variables.state)
    for name, momentum in momenta.items():
        old, new = variables.state[name], after[name]
        state[name] = {
            key: np.asarray((np.asarray(new[key]) - (1 - momentum) * np.asarray(old[key])) / max(momentum, 1e-12))
            for key in old
        }
    return Variables(variables.params, state)
