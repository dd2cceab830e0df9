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

    In Keras, momentum is the share of the old average (0.99); here and in PyTorch, that of the new batch (0.01).
    """

    code = "S17"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the first batch norm whose averages lag behind or consist mostly of the last batch."""
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
                    "after {steps} updates, {left:.0%} of its running averages still come from the initial mean 0 and "
                    "variance 1: momentum {momentum:g} is the weight of the newest batch",
                    Evidence("share of the initial values", left, LEFT),
                    values={"steps": steps, "left": left, "momentum": momentum},
                    remedies=("batch_norm_momentum",),
                    confidence=0.6 + 0.3 * left,
                )
                return
            if momentum > NEWEST:
                yield self.finding(
                    path,
                    "{momentum:.0%} of its running averages come from the last batch: momentum is the share of the "
                    "newest batch here, so that Keras's {momentum:g} corresponds to {rest:.3g}",
                    Evidence("weight of the newest batch", momentum, NEWEST),
                    values={"momentum": momentum, "rest": 1 - momentum},
                    remedies=("batch_norm_momentum",),
                    confidence=0.6,
                )
                return
