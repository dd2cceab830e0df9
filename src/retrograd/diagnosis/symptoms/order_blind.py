"""Attention that does not know where a step stands."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.data.dataset import Batch
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

CHANGE = threshold("S21", "change")
FEWEST = 3  # steps: of two there is one order and its reverse


def attending(*positions: str) -> list[object]:
    """Return a network that attends to 8 features as the steps of a sequence, and takes the mean over them."""
    block = {"transformer_encoder": {"units": 4, "heads": 1}}
    return [{"reshape": [8, 1]}, {"dense": 4}, *positions, block, "global_average_pool", {"dense": 1}]


@symptoms.register(
    "order_blind",
    examples=Examples(
        sick=setup("halves", {"features": 8}, network=attending()),
        healthy=setup("halves", {"features": 8}, network=attending("positions")),
        near_miss=setup("halves", {"features": 8}, network=[{"dense": 4}, {"dense": 1}]),
    ),
)
class OrderBlind(Symptom):
    """Attention weighs steps by what they hold and not by where they stand; a mean over them forgets the order as well.
    Without positions, a sequence and its shuffled copy get the same answer.

        change = largest |y(steps in another order) - y(steps)| / deviation of y over the rows
    """

    code = "S21"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield by how much the output changes when the steps of each sequence change places."""
        look, variables = program.start.pass_, program.start.variables
        nodes = [node for node in program.graph.nodes if node.layer.kind == "multi_head_attention"]
        shuffled = _shuffled(program) if nodes and look is not None else None
        if look is None or variables is None or shuffled is None or not program.graph.tail:
            return
        name = program.graph.tail[-1].name
        other, _ = program.probe.look(variables, shuffled)
        before, after = (np.asarray(each.outputs[name], np.float64) for each in (look, other))
        change = float(np.abs(after - before).max() / max(before.std(), 1e-30))
        if before.ndim == 2 and change < CHANGE:
            yield self.finding(
                program.graph.line(nodes[0]),
                "the answer does not depend on the order of the steps: nothing tells attention where a step stands",
                Evidence("change of the output with its steps in another order", change, CHANGE),
                remedies=("add_positions",),
                confidence=0.5,
            )


def _shuffled(program: Program) -> Batch | None:
    """Return the probe's rows with the steps of their sequences in another order; None where x is no sequence."""
    rows = dict(program.probe.rows)
    x, first = np.asarray(rows.get("x", np.zeros(0))), program.graph.nodes[0].layer
    shape = tuple(getattr(first, "shape", ())) if first.kind == "reshape" else x.shape[1:]
    if x.ndim not in (2, 3) or not 1 <= len(shape) <= 2 or shape[0] < FEWEST:
        return None
    if x.ndim == 2 and len(shape) == 1 and x.dtype.kind == "f":
        return None  # a table: its columns are no steps
    order = np.random.default_rng(0).permutation(shape[0])
    steps = x.reshape(len(x), shape[0], -1)[:, order]
    rows["x"] = np.ascontiguousarray(steps).reshape(x.shape)
    for name, column in rows.items():
        if name not in ("x", "y") and np.ndim(column) == 2 and np.shape(column)[1] == shape[0]:
            rows[name] = np.ascontiguousarray(np.asarray(column)[:, order])
    return rows
