"""Weights and activations as integers of 8 bits, in an ONNX file."""
