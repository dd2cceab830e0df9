"""Running averages of batch norm that cannot have converged when training ends."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

LEFT, NEWEST = threshold("S17", "first"), threshold("S17", "newest")
HEAD = [{"dense": 8}]
TAIL = ["relu", {"dense": 3}]


@symptoms.register(
    "batch_norm_momentum",
    examples=Examples(
        sick=setup("blobs", network=[*HEAD, {"batch_norm": {"momentum": 0.001}}, *TAIL]),
        healthy=setup("blobs", network=[*HEAD, "batch_norm", *TAIL]),
        near_miss=setup("blobs", network=[*HEAD, {"batch_norm": {"momentum": 0.03}}, *TAIL], training={"epochs": 20}),
    ),
)
class BatchNormMomentum(Symptom):
    """After n updates, (1 - momentum)^n of a running average is still its initial value: mean 0 and variance 1.

    Keras's momentum is the share that is kept (0.99), that of this program and of PyTorch the new share (0.01).
    """

    code = "S17"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the batch norms whose averages lag behind, or consist of the last batch alone."""
        if program.prepared is None:
            return
        steps = program.prepared.steps
        for node in program.graph.nodes:
            momentum = getattr(node.layer, "momentum", None)  # null gives all batches equal weight
            if node.layer.kind != "batch_norm" or momentum is None:
                continue
            left = (1 - momentum) ** steps
            path = program.graph.line(node)
            if left > LEFT:
                yield self.finding(
                    path,
                    "after {steps} updates {left:.0%} of its running averages are still the initial mean 0 and "
                    "variance 1: momentum {momentum:g} is the share of the newest batch",
                    Evidence("share of the first values", left, LEFT),
                    values={"steps": steps, "left": left, "momentum": momentum},
                    remedies=("batch_norm_momentum",),
                    confidence=0.6 + 0.3 * left,
                )
                return
            if momentum > NEWEST:
                yield self.finding(
                    path,
                    "its running averages are {momentum:.0%} the last batch: momentum is the share of the "
                    "newest batch here, and Keras's {momentum:g} is {rest:.3g}",
                    Evidence("share of the newest batch", momentum, NEWEST),
                    values={"momentum": momentum, "rest": 1 - momentum},
                    remedies=("batch_norm_momentum",),
                    confidence=0.6,
                )
                return
