"""A network as an ONNX model: a form for each layer, and the graph of these forms."""
