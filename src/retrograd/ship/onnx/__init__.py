"""A network as an ONNX model: one form for each layer, and the graph of them."""
