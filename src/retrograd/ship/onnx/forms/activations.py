"""Activations."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layer import Spec
from retrograd.network.layers.activations.gelu import CUBIC, SLOPE
from retrograd.network.layers.activations.relu6 import CEILING
from retrograd.ship.onnx.graph import TYPES, Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

ONE_NODE = {  # layers that are one operator without attributes
    kinds.Tanh: "Tanh",
    kinds.Sigmoid: "Sigmoid",
    kinds.Exponential: "Exp",
    kinds.Softsign: "Softsign",
    kinds.HardSwish: "HardSwish",
    kinds.Mish: "Mish",
}


@to_onnx.register(*ONE_NODE, settings="")
def one_node(g: Graph, layer: Any, weights: Weights, x: Value) -> Value:
    """One operator that acts on each element."""
    return g.each(ONE_NODE[type(layer)], x)


@to_onnx.register(kinds.ReLU, settings="threshold maximum")
def relu(g: Graph, layer: kinds.ReLU, weights: Weights, x: Value) -> Value:
    """Relu with its threshold and maximum."""
    if layer.threshold:
        below = g.op("LessOrEqual", x.name, np.float32(layer.threshold))
        y = replace(x, name=g.op("Where", below, np.float32(0), x.name))
    else:
        y = g.each("Relu", x)
    return y if layer.maximum is None else g.each("Clip", y, None, np.float32(layer.maximum))


@to_onnx.register(kinds.Softplus, settings="beta")
def softplus(g: Graph, layer: kinds.Softplus, weights: Weights, x: Value) -> Value:
    """y = softplus(beta x) / beta."""
    if layer.beta == 1:
        return g.each("Softplus", x)
    beta = np.float32(layer.beta)
    return g.each("Div", g.each("Softplus", g.each("Mul", x, beta)), beta)


@to_onnx.register(kinds.HardSigmoid, settings="slope")
def hard_sigmoid(g: Graph, layer: kinds.HardSigmoid, weights: Weights, x: Value) -> Value:
    """HardSigmoid with its slope."""
    return g.each("HardSigmoid", x, alpha=float(layer.slope), beta=0.5)


@to_onnx.register(kinds.SELU, settings="alpha scale")
def selu(g: Graph, layer: kinds.SELU, weights: Weights, x: Value) -> Value:
    """Selu with its alpha and scale."""
    return g.each("Selu", x, alpha=float(layer.alpha), gamma=float(layer.scale))


@to_onnx.register(kinds.ELU, settings="alpha")
def elu(g: Graph, layer: kinds.ELU, weights: Weights, x: Value) -> Value:
    """Elu with its alpha."""
    return g.each("Elu", x, alpha=float(layer.alpha))


@to_onnx.register(kinds.LeakyReLU, settings="slope")
def leaky_relu(g: Graph, layer: kinds.LeakyReLU, weights: Weights, x: Value) -> Value:
    """LeakyRelu with its slope."""
    return g.each("LeakyRelu", x, alpha=float(layer.slope))


@to_onnx.register(kinds.ReLU6, settings="")
def relu6(g: Graph, layer: kinds.ReLU6, weights: Weights, x: Value) -> Value:
    """y = min(max(x, 0), 6)."""
    return g.each("Clip", x, np.float32(0), np.float32(CEILING))


@to_onnx.register(kinds.PReLU, settings="first shared")
def prelu(g: Graph, layer: kinds.PReLU, weights: Weights, x: Value) -> Value:
    """A slope for each channel."""
    return g.each("PRelu", x, g.constant(g.by_channel(x, weights["slope"]), "slope"))


@to_onnx.register(kinds.LogSigmoid, settings="")
def log_sigmoid(g: Graph, layer: kinds.LogSigmoid, weights: Weights, x: Value) -> Value:
    """y = -softplus(-x)."""
    return g.each("Neg", g.each("Softplus", g.each("Neg", x)))


@to_onnx.register(kinds.SiLU, settings="")
def silu(g: Graph, layer: kinds.SiLU, weights: Weights, x: Value) -> Value:
    """y = x sigmoid(x)."""
    return g.each("Mul", x, g.op("Sigmoid", x.name))


@to_onnx.register(kinds.GELU, settings="approximate")
def gelu(g: Graph, layer: kinds.GELU, weights: Weights, x: Value) -> Value:
    """y = x p; p = (1 + erf(x / sqrt 2)) / 2, or sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))."""
    if layer.approximate:
        cubic = g.op("Add", g.op("Mul", g.op("Mul", x.name, x.name), float(CUBIC)), 1.0)
        return g.each("Mul", x, g.op("Sigmoid", g.op("Mul", g.op("Mul", x.name, cubic), float(2 * SLOPE))))
    erf = g.op("Erf", g.op("Mul", x.name, math.sqrt(0.5)))
    return g.each("Mul", x, g.op("Mul", g.op("Add", erf, 1.0), 0.5))


@to_onnx.register(kinds.Softmax, settings="axis")
def softmax(g: Graph, layer: kinds.Softmax, weights: Weights, x: Value) -> Value:
    """Softmax along one axis or several."""
    if isinstance(layer.axis, int):
        return g.each("Softmax", x, axis=x.along(layer.axis))
    return g.each("Exp", _log_shares(g, layer.axis, x))


@to_onnx.register(kinds.LogSoftmax, settings="axis")
def log_softmax(g: Graph, layer: kinds.LogSoftmax, weights: Weights, x: Value) -> Value:
    """The logarithm of softmax."""
    return (
        g.each("LogSoftmax", x, axis=x.along(layer.axis))
        if isinstance(layer.axis, int)
        else _log_shares(g, layer.axis, x)
    )


def _log_shares(g: Graph, axis: tuple[int, ...], x: Value) -> Value:
    return g.each("Sub", x, g.op("ReduceLogSumExp", x.name, np.array([x.along(i) for i in axis]), keepdims=1))


@to_onnx.register(kinds.CELU, settings="alpha")
def celu(g: Graph, layer: kinds.CELU, weights: Weights, x: Value) -> Value:
    """Celu with its alpha."""
    return g.each("Celu", x, alpha=float(layer.alpha))


@to_onnx.register(kinds.Clip, settings="low high")
def clip(g: Graph, layer: kinds.Clip, weights: Weights, x: Value) -> Value:
    """Clip with the bounds that are set."""
    low, high = (None if bound is None else np.float32(bound) for bound in (layer.low, layer.high))
    return g.each("Clip", x, low, high)


@to_onnx.register(kinds.Snake, settings="first")
def snake(g: Graph, layer: kinds.Snake, weights: Weights, x: Value) -> Value:
    """y = x + sin(a x)² / a."""
    a = g.constant(g.by_channel(x, weights["frequency"]), "frequency")
    sine = g.op("Sin", g.op("Mul", x.name, a))
    return g.each("Add", x, g.op("Div", g.op("Mul", sine, sine), a))


@to_onnx.register(kinds.GLU, settings="gate axis")
def glu(g: Graph, layer: kinds.GLU, weights: Weights, x: Value) -> str:
    """y = a gate(b), the halves of an axis."""
    axis = layer.axis % len(x.shape)
    half = x.shape[axis] // 2
    a, b = g.ops("Split", 2, x, np.array([half, half]), axis=axis)
    shape = tuple(half if i == axis else n for i, n in enumerate(x.shape))
    gate = to_onnx.write(g, g.path, layer.gate, {}, [Value(b, shape)], Spec(shape, np.dtype(np.float32)))
    return g.op("Mul", a, gate)


@to_onnx.register(kinds.Maxout, settings="pieces")
def maxout(g: Graph, layer: kinds.Maxout, weights: Weights, x: Value) -> str:
    """The largest of each group of neighbours."""
    parts = g.reshape(x, 0, *x.shape[1:-1], x.shape[-1] // layer.pieces, layer.pieces)
    return g.op("ReduceMax", parts, np.array([-1]), keepdims=0)


@to_onnx.register(kinds.Sparsemax, settings="axis")
def sparsemax(g: Graph, layer: kinds.Sparsemax, weights: Weights, x: Value) -> str:
    """y = max(z - tau, 0), with tau such that the sum is 1."""
    axis = layer.axis % len(x.shape)
    length, along = x.shape[axis], np.array([axis])
    z = g.op("Sub", x, g.op("ReduceMax", x, along, keepdims=1))
    sinking = g.ops("TopK", 2, z, np.array([length]), axis=axis)[0]
    above = g.op("Sub", g.op("CumSum", sinking, np.int64(axis)), 1.0)
    shape = [length if i == axis else 1 for i in range(len(x.shape))]
    count = np.arange(1, length + 1, dtype=np.float32).reshape(shape)
    inside = g.op("Cast", g.op("Greater", g.op("Mul", sinking, count), above), to=TYPES["float32"])
    number = g.op("ReduceSum", inside, along, keepdims=1)
    last = g.op("Sub", g.op("Cast", number, to=TYPES["int64"]), np.int64(1))
    tau = g.op("Div", g.op("GatherElements", above, last, axis=axis), number)
    return g.op("Max", g.op("Sub", z, tau), 0.0)
