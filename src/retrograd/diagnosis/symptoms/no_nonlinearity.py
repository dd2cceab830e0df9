"""Consecutive layers without a nonlinearity between them."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Finding
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms

AFFINE = ("dense", "conv1d", "conv2d")
TRANSPARENT = (
    "identity", "dropout", "flatten", "reshape", "gaussian_noise", "spatial_dropout", "color_jitter", "cutout",
    "random_crop", "random_flip", "random_rotation", "random_scaling", "time_shift",
)  # fmt: skip


@symptoms.register(
    "no_nonlinearity",
    examples=Examples(
        sick=setup("halves", network=[{"dense": 8}, {"dense": 8}, {"dense": 1}]),
        healthy=setup("halves", network=[{"dense": {"units": 8, "activation": "relu"}}, {"dense": 1}]),
        near_miss=setup("line", network=[{"dense": 1}]),
    ),
)
class NoNonlinearity(Symptom):
    """A product of matrices is a matrix: layers without an activation between them are one linear layer."""

    code = "S05"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield each affine layer that reads another affine layer directly."""
        if program.graph.network is None:
            return
        nodes = program.graph.network.by_name
        for node in program.graph.nodes:
            if node.layer.kind not in AFFINE:
                continue
            before = node.inputs[0].partition(".")[0]
            while before in nodes and nodes[before].layer.kind in TRANSPARENT:
                before = nodes[before].inputs[0].partition(".")[0]
            if before in nodes and nodes[before].layer.kind in AFFINE:
                is_linear = not program.graph.hidden_activations
                scope = "; no layer has one: the whole network is linear" if is_linear else ""
                yield self.finding(
                    program.graph.line(nodes[before]),
                    "no activation between {before} and {after}: together they are one linear layer{scope}",
                    values={"before": before, "after": node.name, "scope": scope},
                    remedies=("add_activations",),
                    confidence=0.6 if is_linear else 0.35,
                )
