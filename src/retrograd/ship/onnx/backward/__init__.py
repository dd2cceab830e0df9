"""The ONNX forms of the layers' backward passes, a file for each family; importing this package registers them all."""

from retrograd.ship.onnx.backward import activations, convolution, merging, normalisation, plain, pooling, recurrent

__all__ = ["activations", "convolution", "merging", "normalisation", "plain", "pooling", "recurrent"]
