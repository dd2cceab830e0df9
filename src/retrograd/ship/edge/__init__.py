"""Learning where there is no retrograd: the training step as an ONNX file, and the loop around it."""
