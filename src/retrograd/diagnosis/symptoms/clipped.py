"""Gradients that are clipped to almost nothing."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

NEEDED = threshold("S07", "clipped")
WHAT = {
    "clip_global_norm": ("all weights together", "their norm"),
    "clip_norm": ("a matrix", "the largest norm"),
    "clip_value": ("a weight", "the usual size"),
}
FOLLOWS = ("sgd",)  # optimizers whose steps are proportional to the gradient
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
    """Clipping bounds each step of gradient descent, and so the distance that the weights can move. Adam is not
    affected.

        distance <= learning rate / (1 - momentum) x bound x updates
    """

    code = "S07"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield a bound that keeps the weights near their initial values."""
        optimizer, variables = program.config.optimizer, program.start.variables
        if program.optimizer_kind not in FOLLOWS or program.prepared is None or variables is None:
            return
        squares = [np.square(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(variables.params)]
        sizes = {
            "clip_global_norm": float(np.sqrt(sum(float(square.sum()) for square in squares))),
            "clip_norm": max((float(np.sqrt(square.sum())) for square in squares), default=0.0),
            "clip_value": max((float(np.sqrt(square.mean())) for square in squares), default=0.0),
        }
        momentum = float(getattr(optimizer, "momentum", 0.0) or 0.0)
        for setting, size in sizes.items():
            bound = getattr(optimizer, setting)
            distance = program.mean_rate / (1 - momentum) * (bound or 0.0) * program.prepared.steps
            if not bound or distance >= NEEDED * size:
                continue
            yield self.finding(
                f"optimizer.{setting}",
                "gradients are clipped to {bound:g}: all updates together move {what} by {way:.3g} at most; "
                "{its} is {size:.3g}",
                Evidence("largest distance / norm of the initial weights", distance / size, NEEDED),
                values={
                    "bound": bound,
                    "way": distance,
                    "size": size,
                    "what": WHAT[setting][0],
                    "its": WHAT[setting][1],
                },
                remedies=("clip_less", "raise_rate"),
                confidence=0.9,
            )
