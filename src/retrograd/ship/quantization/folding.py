"""Folding batch norm into the weights of the preceding convolution or dense layer before they become integers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from retrograd.ship.onnx.graph import Graph
from retrograd.ship.onnx.library import onnx
from retrograd.ship.quantization.reading import constants_of, layer_of, uses, without_unread

CHANNELS = {"Conv": 0, "Gemm": 1}  # the axis of the weights that holds the outputs' channels


def folded(graph: Graph, seen: Collection[str]) -> Graph:
    """Return a graph in which y = BatchNormalization(x W + b) becomes y = x W' + b'; `seen` are values to keep."""
    made, read = graph.copy(), uses(graph)
    arrays = constants_of(graph)
    makers = {name: node for node in graph.nodes for name in node.output}
    norms = {}
    for node in graph.nodes:
        before = makers.get(node.input[0]) if node.op_type == "BatchNormalization" else None
        if before is None or read[node.input[0]] > 1 or node.input[0] in seen:
            continue
        if before.op_type in CHANNELS and _is_plain(before) and {*before.input[1:], *node.input[1:]} <= {*arrays}:
            norms[before.name] = node
    gone = {norm.name for norm in norms.values()}
    made.nodes = [
        _together(made, arrays, node, norms[node.name]) if node.name in norms else node
        for node in graph.nodes if node.name not in gone
    ]  # fmt: skip
    return without_unread(made)


def _is_plain(node: Any) -> bool:
    """Return whether a product uses its weights without transposing or scaling them."""
    return node.op_type == "Conv" or not node.attribute


def _together(made: Graph, arrays: Mapping[str, np.ndarray], node: Any, norm: Any) -> Any:
    """Return the node with W' = W f and b' = (b - mean) f + bias, where f = scale / sqrt(var + eps)."""
    names = (node.input[1], *norm.input[1:5], *node.input[2:])
    weight, scale, bias, mean, var, *before = (arrays[name].astype(np.float64) for name in names)
    factor = scale / np.sqrt(var + next(each.f for each in norm.attribute if each.name == "epsilon"))
    axis = CHANNELS[node.op_type]
    made.path = layer_of(node)
    whole = {"weight": weight * factor.reshape([-1 if i == axis else 1 for i in range(weight.ndim)]),
             "bias": (sum(before) - mean) * factor + bias}  # fmt: skip
    inputs = [made.constant(array.astype(np.float32), name) for name, array in whole.items()]
    together = onnx().NodeProto()
    together.CopyFrom(node)
    del together.input[1:]
    together.input.extend(inputs)
    together.output[0] = norm.output[0]
    return together
