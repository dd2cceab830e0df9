"""Learning without retrograd: the training step as an ONNX file, and the loop around it."""
