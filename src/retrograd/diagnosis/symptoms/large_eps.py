"""An eps so large that it outweighs the gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import HEAD, Examples, Symptom, setup, symptoms

TIMES = threshold("S07", "eps")
DIVIDED = (
    "adam",
    "adamw",
    "nadam",
    "adamax",
    "radam",
    "rmsprop",
    "lamb",
)  # they divide by the gradient's size plus eps


@symptoms.register(
    "large_eps",
    examples=Examples(
        sick=setup("halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": {"learning_rate": 0.01, "eps": 100.0}}),
        healthy=setup("halves", network=[*HEAD, {"dense": 1}]),
        near_miss=setup(
            "halves", network=[*HEAD, {"dense": 1}], optimizer={"adam": {"learning_rate": 0.01, "eps": 1e-3}}
        ),
    ),
)
class LargeEps(Symptom):
    """Adam and its relatives divide a gradient by its usual size plus eps. If eps is many times that size, each step is
    the gradient times rate / eps: gradient descent, at a rate that nobody chose.
    """

    code = "S07"
    stage = "probe"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield eps relative to the root mean square of the gradients at the initial weights."""
        eps = float(getattr(program.config.optimizer, "eps", 0.0) or 0.0)
        if program.start.health is None or not eps or program.optimizer_kind not in DIVIDED:
            return
        sizes = [float(grad.rms) for path, grad in program.start.health.grads.items() if path.endswith("weight")]
        sizes = [size for size in sizes if np.isfinite(size) and size > 0]
        if sizes and eps > TIMES * max(sizes):
            yield self.finding(
                "optimizer.eps",
                "eps {eps:g} outweighs the gradients, whose size is {size:.2g}: steps are {share:.2g} of the rate",
                Evidence("eps / largest gradient (rms of a layer)", eps / max(sizes), TIMES),
                values={"eps": eps, "size": max(sizes), "share": max(sizes) / eps},
                remedies=("usual_constants", "raise_rate"),
                confidence=0.75,
            )
