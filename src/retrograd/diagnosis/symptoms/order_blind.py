"""Attention that ignores the order of the steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.data.dataset import Batch
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

CHANGE = threshold("S21", "change")
FEWEST = 3  # minimum number of steps: two have only one order and its reverse


def attending(*positions: str) -> list[object]:
    """Return a network that attends to 8 features as the steps of a sequence, and averages over them."""
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
    """Attention weights steps by their content, not by their position, and a mean over them ignores the order as well.
    Without position encodings, a sequence and its shuffled copy get the same answer.

        change = largest |y(steps in another order) - y(steps)| / deviation of y over the rows
    """

    code = "S21"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield how much the output changes when the steps of each sequence are shuffled."""
        initial, variables = program.start.pass_, program.start.variables
        nodes = [node for node in program.graph.nodes if node.layer.kind == "multi_head_attention"]
        shuffled = _shuffled(program) if nodes and initial is not None else None
        if initial is None or variables is None or shuffled is None or not program.graph.tail:
            return
        name = program.graph.tail[-1].name
        other, _ = program.probe.look(variables, shuffled)
        before, after = (np.asarray(pass_.outputs[name], np.float64) for pass_ in (initial, other))
        change = float(np.abs(after - before).max() / max(before.std(), 1e-30))
        if before.ndim == 2 and change < CHANGE:
            yield self.finding(
                program.graph.line(nodes[0]),
                "the answer does not depend on the order of the steps: attention has no information about positions",
                Evidence("change of the output with shuffled steps", change, CHANGE),
                remedies=("add_positions",),
                confidence=0.5,
            )


def _shuffled(program: Program) -> Batch | None:
    """Return the probe's rows with the steps of their sequences shuffled; None if x is not a sequence."""
    rows = dict(program.probe.rows)
    x, first = np.asarray(rows.get("x", np.zeros(0))), program.graph.nodes[0].layer
    shape = tuple(getattr(first, "shape", ())) if first.kind == "reshape" else x.shape[1:]
    if x.ndim not in (2, 3) or not 1 <= len(shape) <= 2 or shape[0] < FEWEST:
        return None
    if x.ndim == 2 and len(shape) == 1 and x.dtype.kind == "f":
        return None  # a table: its columns are not steps
    order = np.random.default_rng(0).permutation(shape[0])
    steps = x.reshape(len(x), shape[0], -1)[:, order]
    rows["x"] = np.ascontiguousarray(steps).reshape(x.shape)
    for name, column in rows.items():
        if name not in ("x", "y") and np.ndim(column) == 2 and np.shape(column)[1] == shape[0]:
            rows[name] = np.ascontiguousarray(np.asarray(column)[:, order])
    return rows
