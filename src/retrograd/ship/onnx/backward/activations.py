"""Backward passes of activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.activations.gelu import CUBIC, SLOPE
from retrograd.network.layers.activations.relu6 import CEILING
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, over_rows, standing_as, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value

FAR = 80.0  # exp overflows float32 a little beyond


class Slopes:
    """Helper for one layer: x, y and dy in the layout of y, and arithmetic between names and numbers."""

    def __init__(self, g: Graph, seen: Seen) -> None:
        self.g, self.y_value = g, seen.y
        self.x, self.y, self.dy = (standing_as(g, value, seen.y) for value in (seen.inputs[0], seen.y, seen.dy))

    def op(self, kind: str, *inputs: Any, **attributes: Any) -> str:
        """Add a node."""
        return self.g.op(kind, *inputs, **attributes)

    def times(self, slope: str) -> Deltas:
        """Return dx = dy slope."""
        return self.result(self.op("Mul", self.dy, slope))

    def where(self, condition: str, otherwise: Any = 0.0) -> Deltas:
        """Return dx = dy where a condition holds, else another value."""
        return self.result(self.op("Where", condition, self.dy, otherwise))

    def result(self, dx: str) -> Deltas:
        """Return a delta in the layout of y."""
        return Deltas((self.g_value(dx),))

    def g_value(self, name: str) -> Value:
        """Return a name as a value in the layout of y."""
        return Value(name, self.y_value.shape, self.y_value.first)


@to_onnx_backward.register(kinds.ReLU, kinds.ReLU6, settings="threshold maximum")
def relu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy where y > 0 and below the maximum."""
    s = Slopes(g, seen)
    top = CEILING if isinstance(seen.layer, kinds.ReLU6) else seen.layer.maximum
    inside = s.op("Greater", s.y, 0.0)
    return s.where(inside if top is None else s.op("And", inside, s.op("Less", s.y, float(top))))


@to_onnx_backward.register(kinds.Tanh, settings="")
def tanh(g: Graph, seen: Seen) -> Deltas:
    """dx = dy (1 - y²)."""
    s = Slopes(g, seen)
    return s.times(s.op("Sub", 1.0, s.op("Mul", s.y, s.y)))


@to_onnx_backward.register(kinds.Sigmoid, settings="")
def sigmoid(g: Graph, seen: Seen) -> Deltas:
    """dx = dy y (1 - y)."""
    s = Slopes(g, seen)
    return s.times(s.op("Mul", s.y, s.op("Sub", 1.0, s.y)))


@to_onnx_backward.register(kinds.Exponential, settings="")
def exponential(g: Graph, seen: Seen) -> Deltas:
    """dx = dy y."""
    s = Slopes(g, seen)
    return s.times(s.y)


@to_onnx_backward.register(kinds.Softplus, settings="beta")
def softplus(g: Graph, seen: Seen) -> Deltas:
    """dx = dy sigmoid(beta x)."""
    s = Slopes(g, seen)
    return s.times(s.op("Sigmoid", s.op("Mul", s.x, float(seen.layer.beta))))


@to_onnx_backward.register(kinds.LogSigmoid, settings="")
def log_sigmoid(g: Graph, seen: Seen) -> Deltas:
    """dx = dy sigmoid(-x)."""
    s = Slopes(g, seen)
    return s.times(s.op("Sigmoid", s.op("Neg", s.x)))


@to_onnx_backward.register(kinds.Softsign, settings="")
def softsign(g: Graph, seen: Seen) -> Deltas:
    """dx = dy (1 - |y|)²."""
    s = Slopes(g, seen)
    gap = s.op("Sub", 1.0, s.op("Abs", s.y))
    return s.times(s.op("Mul", gap, gap))


@to_onnx_backward.register(kinds.SELU, kinds.ELU, kinds.CELU, settings="alpha scale")
def elu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy scale where y > 0, else dy (y + scale alpha); for celu, dy (y / alpha + 1)."""
    s, layer = Slopes(g, seen), seen.layer
    scale, alpha = float(getattr(layer, "scale", 1.0)), float(layer.alpha)
    if isinstance(layer, kinds.CELU):
        below = s.op("Add", s.op("Div", s.y, alpha), 1.0)
    else:
        below = s.op("Add", s.y, scale * alpha)
    return s.times(s.op("Where", s.op("Greater", s.y, 0.0), scale, below))


@to_onnx_backward.register(kinds.LeakyReLU, settings="slope")
def leaky_relu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy where x > 0, else slope dy."""
    s = Slopes(g, seen)
    return s.where(s.op("Greater", s.x, 0.0), s.op("Mul", s.dy, float(seen.layer.slope)))


@to_onnx_backward.register(kinds.Clip, settings="low high")
def clip(g: Graph, seen: Seen) -> Deltas:
    """dx = dy where x is between the bounds."""
    s, layer = Slopes(g, seen), seen.layer
    low, high = (float(end if bound is None else bound)
                 for bound, end in ((layer.low, -np.inf), (layer.high, np.inf)))  # fmt: skip
    return s.where(s.op("And", s.op("Greater", s.x, low), s.op("Less", s.x, high)))


@to_onnx_backward.register(kinds.HardSigmoid, settings="slope")
def hard_sigmoid(g: Graph, seen: Seen) -> Deltas:
    """dx = slope dy where |x| < 1 / (2 slope)."""
    s, slope = Slopes(g, seen), float(seen.layer.slope)
    return s.times(s.op("Where", s.op("Less", s.op("Abs", s.x), 0.5 / slope), slope, 0.0))


@to_onnx_backward.register(kinds.HardSwish, settings="")
def hard_swish(g: Graph, seen: Seen) -> Deltas:
    """dx = dy (h + x / 6) where |x| < 3, else dy h; h the hard sigmoid of x."""
    s = Slopes(g, seen)
    h = s.op("HardSigmoid", s.x, alpha=1 / 6, beta=0.5)
    near = s.op("Less", s.op("Abs", s.x), 3.0)
    return s.times(s.op("Where", near, s.op("Add", h, s.op("Div", s.x, 6.0)), h))


@to_onnx_backward.register(kinds.SiLU, settings="")
def silu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy s (1 + x (1 - s)), s = sigmoid(x)."""
    s = Slopes(g, seen)
    return s.times(_swish_slope(s, s.op("Sigmoid", s.x), s.x))


def _swish_slope(s: Slopes, gate: str, x: str) -> str:
    """Return gate (1 + x (1 - gate))."""
    near = s.op("Clip", x, np.float32(-FAR), np.float32(FAR))
    return s.op("Mul", gate, s.op("Add", s.op("Mul", near, s.op("Sub", 1.0, gate)), 1.0))


@to_onnx_backward.register(kinds.Mish, settings="")
def mish(g: Graph, seen: Seen) -> Deltas:
    """dx = dy (t + x (1 - t²) sigmoid(x)), t = tanh(softplus(x))."""
    s = Slopes(g, seen)
    t = s.op("Tanh", s.op("Softplus", s.x))
    rest = s.op("Mul", s.op("Sub", 1.0, s.op("Mul", t, t)), s.op("Sigmoid", s.x))
    near = s.op("Clip", s.x, np.float32(-FAR), np.float32(FAR))
    return s.times(s.op("Add", t, s.op("Mul", near, rest)))


@to_onnx_backward.register(kinds.GELU, settings="approximate")
def gelu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy (p + x p'), p = (1 + erf(x / sqrt 2)) / 2 or sigmoid(u), u = 2 sqrt(2/pi) (x + 0.044715 x³)."""
    s = Slopes(g, seen)
    x = s.op("Clip", s.x, np.float32(-FAR), np.float32(FAR))
    square = s.op("Mul", x, x)
    if seen.layer.approximate:
        slope, cubic = float(2 * SLOPE), float(CUBIC)
        p = s.op("Sigmoid", s.op("Mul", s.op("Mul", x, s.op("Add", s.op("Mul", square, cubic), 1.0)), slope))
        steep = s.op("Mul", s.op("Add", s.op("Mul", square, 3 * cubic), 1.0), slope)
        density = s.op("Mul", s.op("Mul", p, s.op("Sub", 1.0, p)), steep)
    else:
        p = s.op("Mul", s.op("Add", s.op("Erf", s.op("Mul", x, math.sqrt(0.5))), 1.0), 0.5)
        density = s.op("Mul", s.op("Exp", s.op("Mul", square, -0.5)), 1 / math.sqrt(2 * math.pi))
    return s.times(s.op("Add", p, s.op("Mul", x, density)))


def prelu_forward(g: Graph, layer: kinds.PReLU, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """A slope for each channel, with channels last."""
    return Taken(g.op("PRelu", inputs[0], weights["slope"]))


@to_onnx_backward.register(kinds.PReLU, forward=prelu_forward, settings="shared")
def prelu(g: Graph, seen: Seen) -> Deltas:
    """dx = dy where x > 0, else slope dy; dslope = Σ dy min(x, 0)."""
    x, dy, slope = g.plain(seen.inputs[0]), g.plain(seen.dy), seen.weights["slope"]
    dx = g.op("Where", g.op("Greater", x, 0.0), dy, g.op("Mul", slope, dy))
    leaked = Value(g.op("Mul", dy, g.op("Min", x, 0.0)), seen.dy.shape)
    grad = over_rows(g, leaked, seen.dy.shape[-1:])
    grad = g.op("ReduceSum", grad, np.array([0]), keepdims=1) if seen.layer.shared else grad
    return Deltas((dx,), {"slope": grad})


@to_onnx_backward.register(kinds.Softmax, kinds.LogSoftmax, settings="axis")
def softmax(g: Graph, seen: Seen) -> Deltas:
    """dx = y (dy - Σ dy y); for the logarithm, dy - exp(y) Σ dy."""
    y, dy, axis = g.plain(seen.y), g.plain(seen.dy), seen.layer.axis
    along = np.array([axis] if isinstance(axis, int) else axis)
    if isinstance(seen.layer, kinds.LogSoftmax):
        return Deltas((g.op("Sub", dy, g.op("Mul", g.op("Exp", y), g.op("ReduceSum", dy, along, keepdims=1))),))
    mean = g.op("ReduceSum", g.op("Mul", dy, y), along, keepdims=1)
    return Deltas((g.op("Mul", y, g.op("Sub", dy, mean)),))
