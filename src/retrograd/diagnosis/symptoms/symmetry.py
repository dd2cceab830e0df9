"""Units of a layer that are copies of one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

SHARE = threshold("B15", "share")
COSINE = 0.999  # between two units' weights and gradients: random ones are never this close
SAME = {"units": 6, "activation": "tanh", "weight": {"constant": 0.3}}


@symptoms.register(
    "symmetry",
    examples=Examples(
        sick=setup("halves", network=[{"dense": SAME}, {"dense": {"units": 1, "weight": {"constant": 0.2}}}]),
        healthy=setup("halves", network=[{"dense": {"units": 6, "activation": "tanh"}}, {"dense": 1}]),
        near_miss=setup("halves", network=[{"dense": {"units": 6, "activation": "tanh"}},
                                           {"dense": {"units": 1, "weight": "zeros"}}]),
    ),
)  # fmt: skip
class Symmetry(Symptom):
    """Units with the same incoming and outgoing weights get the same gradient, and so remain copies for ever."""

    code = "B15"
    stage = "run"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield hidden layers in which at least half of the units are copies, in weights and gradients."""
        if program.start.variables is None or program.start.pass_ is None:
            return
        for node in program.start.weighted[:-1]:
            weight = np.asarray(program.start.variables.params[node.name]["weight"], np.float64)
            grad = np.asarray(program.start.pass_.grads[node.name]["weight"], np.float64)
            share = min(_copies(weight), _copies(grad))
            if weight.ndim > 1 and weight.shape[-1] > 1 and share >= SHARE and node.layer.kind != "embedding":
                yield self.finding(
                    program.graph.line(node),
                    "{share:.0%} of the units have equal weights and equal gradients: they compute the same "
                    "value and always will",
                    Evidence("share of copies", share, SHARE),
                    values={"share": share},
                    remedies=("default_initial_weights",),
                    severity="fault",
                    confidence=0.6,
                )


def _copies(matrix: np.ndarray) -> float:
    """Return the share of columns with the same direction and length as another column."""
    columns = matrix.reshape(-1, matrix.shape[-1])
    length = np.linalg.norm(columns, axis=0)
    if not length.any():
        return 1.0
    cosine = (columns.T @ columns) / np.maximum(np.outer(length, length), 1e-30)
    # rounding moves equal lengths by less than a thousandth
    alike = (cosine > COSINE) & (np.abs(length[:, None] - length) <= 1e-3 * length.max())
    np.fill_diagonal(alike, False)
    return float(np.mean(alike.any(1)))
