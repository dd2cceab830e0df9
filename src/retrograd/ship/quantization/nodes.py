"""Layers of a graph in integers: QuantizeLinear and DequantizeLinear around the operators that use them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from retrograd.ship.onnx.graph import TYPES, Graph
from retrograd.ship.onnx.library import onnx
from retrograd.ship.onnx.renaming import rename_in_bodies
from retrograd.ship.quantization.reading import constants_of, layer_of, reads, uses, without_unread
from retrograd.ship.quantization.scales import Integers, Range, halves, integers

PRODUCTS = {"Conv": 0, "Gemm": 1, "MatMul": 1}  # operators with integer kernels -> the weights' axis of output channels
CHANNELS = {"LSTM": 1, "GRU": 1, "RNN": 1, "ConvTranspose": 1}  # that axis of others; else the last
LEAST = 192  # numbers; for fewer, integers save little space and add as much noise as for a large layer
FEWEST = 4  # numbers per channel; for fewer, the scales take the space that integers save
LEAST_HALVED = 24  # numbers; for fewer, the conversion node takes more space than 16 bits save
USUAL_AXIS = 1  # of DequantizeLinear
LIMITS = ("Relu", "Clip")  # which runtimes implement by the range of the integers


Arrays = Mapping[str, np.ndarray]


def heavy(arrays: Arrays, node: Any) -> list[str]:
    """Return the constants of a node that are worth converting to integers; transposed constants count elsewhere."""
    if node.op_type == "Transpose":
        return []
    axis = CHANNELS.get(node.op_type, -1)
    return [name for name in dict.fromkeys(reads(node)) if _is_heavy(arrays.get(name), axis)]


def _is_heavy(array: np.ndarray | None, axis: int) -> bool:
    """Return whether integers, and a scale for each channel, take less than half the space of floats."""
    if array is None or array.dtype != np.float32 or array.ndim < 2 or array.size < LEAST:
        return False
    return bool(array.size >= FEWEST * array.shape[axis])


def light(arrays: Arrays, node: Any) -> dict[str, np.ndarray]:
    """Return the other float constants of a node that are worth converting to 16 bits, converted."""
    names = [] if node.op_type == "Transpose" else {*reads(node)} - {*heavy(arrays, node)}
    real = {name: arrays[name] for name in names if name in arrays and arrays[name].dtype == np.float32}
    near = {name: halves(array) for name, array in real.items() if array.size >= LEAST_HALVED}
    return {name: array for name, array in near.items() if array is not None}


def is_product(arrays: Arrays, node: Any) -> bool:
    """Return whether a node multiplies its input by weights worth converting to integers, and adds at most a bias."""
    if node.op_type not in PRODUCTS or node.input[0] in arrays or (node.op_type == "Gemm" and node.attribute):
        return False
    axis, (weight, *bias) = PRODUCTS[node.op_type], (arrays.get(name) for name in node.input[1:])
    if weight is None or not _is_heavy(weight, axis) or (weight.ndim != 2 and node.op_type != "Conv"):
        return False
    return all(each is not None and each.shape == weight.shape[axis : axis + 1] for each in bias)


def is_look_up(arrays: Arrays, node: Any) -> bool:
    """Return whether a node looks up rows of a table worth converting to integers."""
    return node.op_type == "Gather" and not any(a.i for a in node.attribute) and bool(heavy(arrays, node))


class Activations:
    """The values that become integers between layers.

    These are the inputs of products, and the outputs of convolutions and of ReLUs after any product: no runtime has an
    integer convolution, with or without a ReLU, that returns floats.
    """

    def __init__(self, graph: Graph, layers: Collection[str]) -> None:
        arrays = constants_of(graph)
        products = [node for node in graph.nodes if layer_of(node) in layers and is_product(arrays, node)]
        self.products = {node.name for node in products}
        readers = {node.input[0]: node for node in graph.nodes if node.op_type in LIMITS}
        read = uses(graph)
        self.given: set[str] = set()
        for node in products:
            y = node.output[0]
            if read[y] == 1 and y in readers:
                self.given.add(readers[y].output[0])
            elif node.op_type == "Conv":
                self.given.add(y)
        self.names = self.given | {node.input[0] for node in products}


def in_integers(graph: Graph, layers: Collection[str], ranges: Mapping[str, Range], bits: int) -> Graph:
    """Return a graph with the weights of some layers, and the inputs of their products, as integers."""
    made, activations, arrays = graph.copy(), Activations(graph, layers), constants_of(graph)
    made.nodes, rounded = [], dict[str, str]()

    def as_read(name: str) -> str:
        """Return a value rounded to integers; its nodes come before the first node that reads it."""
        if name not in rounded:
            scale, zero = ranges[name].scale, ranges[name].zero
            whole = _around(made, "QuantizeLinear", name, made.constant(scale), made.constant(zero))
            rounded[name] = _around(made, "DequantizeLinear", whole, made.constant(scale), made.constant(zero))
        return rounded[name]

    for original in graph.nodes:
        made.path = layer_of(original)
        node = onnx().NodeProto()
        node.CopyFrom(original)
        inputs = [as_read(name) if name in activations.given else name for name in node.input]
        if node.name in activations.products:
            inputs[0] = as_read(node.input[0])
            inputs[1:] = _product(made, arrays, node, ranges[node.input[0]], bits)
        elif made.path in layers and is_look_up(arrays, node):
            _look_up(made, arrays[node.input[0]], node, bits)
            continue
        elif made.path in layers:
            weights = {name: _unpacked(made, arrays[name], node.op_type, bits) for name in heavy(arrays, node)}
            weights |= {name: _real(made, near) for name, near in light(arrays, node).items()}
            inputs = [weights.get(name, name) for name in inputs]
            rename_in_bodies(node, weights)
        del node.input[:]
        node.input.extend(inputs)
        made.nodes.append(node)
    return without_unread(made)


def _product(made: Graph, arrays: Arrays, node: Any, read: Range, bits: int) -> list[str]:
    """Return the weights of a product, and its bias in units of the integer products."""
    bias = arrays[node.input[2]] if len(node.input) > 2 else None
    whole = integers(arrays[node.input[1]], PRODUCTS[node.op_type], bits, bias, float(read.scale))
    scales = made.constant(whole.scales, "scales")
    names = [_dequantized(made, whole, scales, node.op_type != "Conv")]
    if bias is not None:
        unit = whole.scales * read.scale
        sums = np.rint(bias / unit.astype(np.float64)).astype(np.int32)
        product = _around(made, "Mul", scales, made.constant(read.scale))
        names.append(_around(made, "DequantizeLinear", made.constant(sums, "bias"), product, axis=0))
    return names


def _dequantized(made: Graph, whole: Integers, scales: str, zeros: bool) -> str:
    """Add weights as floats; `zeros` adds the zero points, without which onnxruntime does not fuse a Gemm."""
    constants = [made.constant(whole.values, "weight"), scales]
    if zeros:
        constants.append(made.constant(np.zeros(len(whole.scales), whole.values.dtype), "zeros"))
    return _around(made, "DequantizeLinear", *constants, **({"axis": whole.axis} if whole.axis != USUAL_AXIS else {}))


def _around(made: Graph, kind: str, *inputs: str, **attributes: Any) -> str:
    """Add a node without a name that converts numbers to or from integers."""
    name = made.free("q" if kind == "QuantizeLinear" else "r")
    made.nodes.append(onnx().helper.make_node(kind, inputs, [name], **attributes))
    return name


def _look_up(made: Graph, table: np.ndarray, node: Any, bits: int) -> None:
    """Add y = W[ids] scale: only the rows that are read become floats."""
    whole = integers(table, table.ndim - 1, bits)
    rows = _around(made, "Gather", made.constant(whole.values, "weight"), node.input[1])
    real = _around(made, "Cast", rows, to=TYPES["float32"])
    made.nodes.append(onnx().helper.make_node("Mul", [real, made.constant(whole.scales, "scales")], [*node.output],
                                              name=node.name))  # fmt: skip


def _unpacked(made: Graph, array: np.ndarray, operator: str, bits: int) -> str:
    """Return weights that are integers only in the file: runtimes convert them to floats once, on loading."""
    whole = integers(array, CHANNELS.get(operator, array.ndim - 1), bits)
    scales = whole.scales.reshape([-1 if i == whole.axis else 1 for i in range(array.ndim)])
    return _around(made, "Mul", _real(made, whole.values), made.constant(scales, "scales"))


def _real(made: Graph, array: np.ndarray) -> str:
    return _around(made, "Cast", made.constant(array, "weight"), to=TYPES["float32"])
