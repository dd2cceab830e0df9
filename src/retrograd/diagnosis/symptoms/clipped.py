"""Gradients that are clipped to nothing."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

NEEDED = threshold("S07", "clipped")
FOLLOWS = ("sgd",)  # optimisers whose steps are as long as the gradient
TIGHT = {"sgd": {"learning_rate": 0.1, "clip_global_norm": 1e-4}}
USUAL = {"sgd": {"learning_rate": 0.1, "clip_global_norm": 1.0}}


@symptoms.register(
    "clipped",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], optimizer=TIGHT),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}], optimizer=USUAL),
        near_miss=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": {"learning_rate": 0.01,
                                                                                     "clip_global_norm": 1e-4}}),
    ),
)  # fmt: skip
class Clipped(Symptom):
    """Clipping bounds each step of gradient descent, and so the way of all weights together. Adam divides the bound out
    again.

        |way| <= learning rate / (1 - momentum) x bound x updates
    """

    code = "S07"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a bound that keeps the weights where they are."""
        bound = program.config.optimizer.clip_global_norm
        if (
            not bound
            or program.optimizer_kind not in FOLLOWS
            or program.prepared is None
            or program.start.variables is None
        ):
            return
        leaves = jax.tree.leaves(program.start.variables.params)
        size = float(np.sqrt(sum(float(np.sum(np.square(np.asarray(leaf, np.float64)))) for leaf in leaves)))
        momentum = float(getattr(program.config.optimizer, "momentum", 0.0) or 0.0)
        way = program.mean_rate / (1 - momentum) * bound * program.prepared.steps
        if way < NEEDED * size:
            yield self.finding(
                "optimizer.clip_global_norm",
                "gradients are clipped to a norm of {bound:g}: all updates together move the weights by "
                "{way:.3g} at most, and their norm is {size:.3g}",
                Evidence("farthest way / norm of the first weights", way / size, NEEDED),
                values={"bound": bound, "way": way, "size": size},
                remedies=("clip_less", "raise_rate"),
                confidence=0.9,
            )
