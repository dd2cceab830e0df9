"""Activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.activations.gelu import CUBIC, SLOPE
from retrograd.network.layers.activations.relu6 import CEILING
from retrograd.network.layers.activations.selu import ALPHA, SCALE
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

ONE_NODE = {  # layers that are one operator, and its attributes
    kinds.ReLU: ("Relu", {}),
    kinds.Tanh: ("Tanh", {}),
    kinds.Sigmoid: ("Sigmoid", {}),
    kinds.Exponential: ("Exp", {}),
    kinds.Softplus: ("Softplus", {}),
    kinds.Softsign: ("Softsign", {}),
    kinds.HardSwish: ("HardSwish", {}),
    kinds.Mish: ("Mish", {}),
    kinds.HardSigmoid: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    kinds.SELU: ("Selu", {"alpha": ALPHA, "gamma": SCALE}),
}


@to_onnx.register(*ONE_NODE)
def one_node(g: Graph, layer: Any, weights: Weights, x: Value) -> Value:
    """One operator that acts on each element."""
    kind, attributes = ONE_NODE[type(layer)]
    return g.each(kind, x, **attributes)


@to_onnx.register(kinds.ELU)
def elu(g: Graph, layer: kinds.ELU, weights: Weights, x: Value) -> Value:
    """Elu with its alpha."""
    return g.each("Elu", x, alpha=float(layer.alpha))


@to_onnx.register(kinds.LeakyReLU)
def leaky_relu(g: Graph, layer: kinds.LeakyReLU, weights: Weights, x: Value) -> Value:
    """LeakyRelu with its slope."""
    return g.each("LeakyRelu", x, alpha=float(layer.slope))


@to_onnx.register(kinds.ReLU6)
def relu6(g: Graph, layer: kinds.ReLU6, weights: Weights, x: Value) -> Value:
    """y = min(max(x, 0), 6)."""
    return g.each("Clip", x, np.float32(0), np.float32(CEILING))


@to_onnx.register(kinds.PReLU)
def prelu(g: Graph, layer: kinds.PReLU, weights: Weights, x: Value) -> Value:
    """A slope for each channel."""
    return g.each("PRelu", x, g.constant(g.by_channel(x, weights["slope"]), "slope"))


@to_onnx.register(kinds.LogSigmoid)
def log_sigmoid(g: Graph, layer: kinds.LogSigmoid, weights: Weights, x: Value) -> Value:
    """y = -softplus(-x)."""
    return g.each("Neg", g.each("Softplus", g.each("Neg", x)))


@to_onnx.register(kinds.SiLU)
def silu(g: Graph, layer: kinds.SiLU, weights: Weights, x: Value) -> Value:
    """y = x sigmoid(x)."""
    return g.each("Mul", x, g.op("Sigmoid", x.name))


@to_onnx.register(kinds.GELU)
def gelu(g: Graph, layer: kinds.GELU, weights: Weights, x: Value) -> Value:
    """y = x p; p = (1 + erf(x / sqrt 2)) / 2, or sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))."""
    if layer.approximate:
        cubic = g.op("Add", g.op("Mul", g.op("Mul", x.name, x.name), float(CUBIC)), 1.0)
        return g.each("Mul", x, g.op("Sigmoid", g.op("Mul", g.op("Mul", x.name, cubic), float(2 * SLOPE))))
    erf = g.op("Erf", g.op("Mul", x.name, math.sqrt(0.5)))
    return g.each("Mul", x, g.op("Mul", g.op("Add", erf, 1.0), 0.5))


@to_onnx.register(kinds.Softmax)
def softmax(g: Graph, layer: kinds.Softmax, weights: Weights, x: Value) -> Value:
    """Shares along an axis, or several."""
    if isinstance(layer.axis, int):
        return g.each("Softmax", x, axis=x.along(layer.axis))
    return g.each("Exp", _log_shares(g, layer.axis, x))


@to_onnx.register(kinds.LogSoftmax)
def log_softmax(g: Graph, layer: kinds.LogSoftmax, weights: Weights, x: Value) -> Value:
    """Their logarithms."""
    return (
        g.each("LogSoftmax", x, axis=x.along(layer.axis))
        if isinstance(layer.axis, int)
        else _log_shares(g, layer.axis, x)
    )


def _log_shares(g: Graph, axis: tuple[int, ...], x: Value) -> Value:
    return g.each("Sub", x, g.op("ReduceLogSumExp", x.name, np.array([x.along(i) for i in axis]), keepdims=1))
