"""The ONNX forms of layers, a file for each family; importing this package registers them all."""

from retrograd.ship.onnx.forms import (
    activations,
    attention,
    boxes,
    convolution,
    merging,
    normalisation,
    parametrised,
    plain,
    pooling,
    rearranging,
    recurrent,
    reducing,
)

__all__ = [
    "activations", "attention", "boxes", "convolution", "merging", "normalisation", "parametrised", "plain", "pooling",
    "rearranging", "recurrent", "reducing",
]  # fmt: skip
