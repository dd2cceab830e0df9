"""Strides that skip parts of the input."""

from __future__ import annotations

import math
from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.symptom import Examples, Symptom, setup, symptoms
from retrograd.network.layers.shared.window import each_axis

READ = threshold("S24", "read")
STRIDED = ("conv1d", "conv2d", "conv3d", "max_pool", "average_pool")


def over_image(kernel: int, stride: int) -> list[object]:
    """Return a network that reads 16 features as an image."""
    conv = {"conv2d": {"filters": 4, "kernel": kernel, "stride": stride, "activation": "relu"}}
    return [{"reshape": [4, 4, 1]}, conv, "flatten", {"dense": 1}]


@symptoms.register(
    "skipped_places",
    examples=Examples(
        sick=setup("halves", {"features": 16}, network=over_image(1, 3)),
        healthy=setup("halves", {"features": 16}, network=over_image(3, 1)),
        near_miss=setup("halves", {"features": 16}, network=over_image(2, 2)),
    ),
)
class SkippedPlaces(Symptom):
    """A stride longer than the kernel skips places that nothing reads.

    read = product of min(1, kernel / stride) over the axes
    """

    code = "S24"
    stage = "static"

    def find(self, program: Program) -> Iterator[Finding]:
        """Yield the layers that read less than a fifth of their input."""
        for node in program.graph.nodes if program.graph.specs is not None else ():
            if node.layer.kind not in STRIDED or program.graph.specs is None:
                continue
            kernel = getattr(node.layer, "kernel", None) or getattr(node.layer, "size", None)
            stride = getattr(node.layer, "stride", None)
            if kernel is None or stride is None:
                continue
            axes = len(program.graph.specs[node.name].shape) - 2  # without rows and channels
            lengths = zip(each_axis(kernel, axes, "kernel"), each_axis(stride, axes, "stride"), strict=True)
            read = math.prod(min(1.0, length / step) for length, step in lengths)
            if read < READ:
                yield self.finding(
                    program.graph.line(node),
                    "kernel {kernel} with stride {stride} reads only {read:.0%} of the places; the others are skipped",
                    Evidence("share of the places that are read", read, READ),
                    values={"kernel": kernel, "stride": stride, "read": read},
                    remedies=("shorter_stride",),
                    confidence=0.6,
                )
