"""The layers' ONNX forms, a file for each family; importing this package registers them all."""

from retrograd.ship.onnx.forms import activations, attention, convolution, normalisation, plain, pooling, recurrent

__all__ = ["activations", "attention", "convolution", "normalisation", "plain", "pooling", "recurrent"]
