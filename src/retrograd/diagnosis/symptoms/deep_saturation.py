"""More layers than signals or gradients can pass with this activation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

BORN_DEAD = threshold("S08", "born_dead")


def stack(depth: int, units: int, activation: str) -> list[dict[str, object]]:
    """Return a stack of identical layers."""
    return [{"dense": {"units": units, "activation": activation}} for _ in range(depth)]


@symptoms.register(
    "deep_saturation",
    examples=Examples(
        sick=setup("halves", network=[*stack(6, 8, "sigmoid"), {"dense": 1}]),
        healthy=setup("halves", network=[*stack(6, 16, "relu"), {"dense": 1}]),
        near_miss=setup("halves", network=[*stack(2, 8, "sigmoid"), {"dense": 1}]),
    ),
)
class DeepSaturation(Symptom):
    """Each sigmoid passes at most a quarter of a delta. A relu layer of n units is dead for an input with probability
    2^-n, so a deep and narrow stack is easily dead from the start. An exponential of an exponential overflows.

        P(born dead) <= 1 - prod_l (1 - 2^-n_l)   (Lu et al. 2019, arXiv:1903.06733)
    """

    code = "S08"
    stage = "static"
    by_chance = True

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield stacks that are too deep for their activation."""
        if program.graph.specs is None or self._has_shortcuts(program):
            return
        kinds = [node.layer.kind for node in program.graph.hidden_activations]
        for kind, confidence in (("sigmoid", 0.88), ("tanh", 0.5), ("exponential", 0.95)):
            count, limit = kinds.count(kind), threshold("S08", kind)
            if count >= limit:
                why = {
                    "sigmoid": f"deltas shrink by a factor of at least 4 at each, to at most {0.25**count:.2g}",
                    "tanh": "deltas shrink at each layer that saturates",
                    "exponential": "an exponential of an exponential overflows",
                }[kind]
                first = next(node for node in program.graph.hidden_activations if node.layer.kind == kind)
                yield self.finding(
                    program.graph.line(first),
                    "{count} {kind} layers: {why}",
                    Evidence(f"layers of {kind}", count, limit),
                    values={"count": count, "kind": kind, "why": why},
                    remedies=("hidden_relu", "fewer_layers", "widen"),
                    confidence=confidence,
                )
        widths = [
            program.graph.specs[n.name].shape[-1] for n in program.graph.hidden_activations if n.layer.kind == "relu"
        ]
        dead = 1 - float(np.prod([1 - 2.0 ** -min(width, 60) for width in widths])) if widths else 0.0
        if dead > BORN_DEAD:
            yield self.finding(
                "network",
                "{layers} narrow relu layers: the probability that one of them is dead from the start is up to "
                "{dead:.0%}",
                Evidence("bound on the probability of a dead layer at the start", dead, BORN_DEAD),
                values={"layers": len(widths), "dead": dead},
                remedies=("widen", "fewer_layers"),
                confidence=0.55 + 0.4 * dead,
            )

    def _has_shortcuts(self, program: Program) -> bool:
        return any(node.layer.kind == "add" or "norm" in node.layer.kind for node in program.graph.nodes)
