"""Layers that reduce values along an axis, or divide them by their length."""

from __future__ import annotations

import numpy as np

from retrograd.network import layers as kinds
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.LogSumExp, settings="axis keepdim")
def log_sum_exp(g: Graph, layer: kinds.LogSumExp, weights: Weights, x: Value) -> str:
    """ReduceLogSumExp."""
    return g.op("ReduceLogSumExp", x, axes_of(layer.axis), keepdims=int(layer.keepdim))


@to_onnx.register(kinds.Normalize, settings="p axis eps")
def normalize(g: Graph, layer: kinds.Normalize, weights: Weights, x: Value) -> str:
    """y = x / max(|x|, eps)."""
    return unit(g, g.plain(x), axes_of(layer.axis), layer.eps, layer.p)


def axes_of(axis: int | tuple[int, ...]) -> np.ndarray:
    """Return a setting for one axis or several in ONNX's form."""
    return np.array([axis] if isinstance(axis, int) else axis, np.int64)


def unit(g: Graph, x: str, axes: np.ndarray, eps: float, p: float = 2.0) -> str:
    """Return vectors divided by max(length, eps), scaled by the largest number first, so that no power overflows."""
    size = g.op("Abs", x)
    largest = g.op("Max", g.op("ReduceMax", size, axes, keepdims=1), float(np.finfo(np.float32).tiny))
    powers = g.op("ReduceSum", g.op("Pow", g.op("Div", size, largest), float(p)), axes, keepdims=1)
    length = g.op("Mul", largest, g.op("Pow", powers, 1 / p))
    return g.op("Div", x, g.op("Max", length, float(eps)))
