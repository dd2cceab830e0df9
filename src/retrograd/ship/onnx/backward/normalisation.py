"""Backward passes of normalisations; batch norm uses its running statistics, as outside training."""

from __future__ import annotations

import numpy as np

from retrograd.network import layers as kinds
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, over_rows, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value


def batch_norm_forward(g: Graph, layer: kinds.BatchNorm, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """y = scale xhat + bias, xhat = (x - mean) / sqrt(var + eps) with the running statistics."""
    inverse = g.op("Reciprocal", g.op("Sqrt", g.op("Add", weights["var"], float(layer.eps))))
    xhat = g.op("Mul", g.op("Sub", inputs[0], weights["mean"]), inverse)
    return Taken(_scaled(g, xhat, weights), (xhat, inverse))


def _scaled(g: Graph, xhat: str, weights: Names) -> str:
    y = g.op("Mul", xhat, weights["scale"]) if "scale" in weights else xhat
    return g.op("Add", y, weights["bias"]) if "bias" in weights else y


def _gradients(g: Graph, seen: Seen, xhat: str, shape: tuple[int, ...]) -> tuple[str, dict[str, str]]:
    """Return the delta of xhat, and dscale = Σ dy xhat, dbias = Σ dy."""
    dy = g.plain(seen.dy)
    grads = {}
    if "scale" in seen.trained:
        grads["scale"] = over_rows(g, Value(g.op("Mul", dy, xhat), seen.dy.shape), shape)
    if "bias" in seen.trained:
        grads["bias"] = over_rows(g, seen.dy, shape)
    return (g.op("Mul", dy, seen.weights["scale"]) if "scale" in seen.weights else dy), grads


@to_onnx_backward.register(kinds.BatchNorm, settings="eps momentum", forward=batch_norm_forward)
def batch_norm(g: Graph, seen: Seen) -> Deltas:
    """dx = dy scale / sqrt(var + eps)."""
    xhat, inverse = seen.tape
    by_xhat, grads = _gradients(g, seen, xhat, seen.dy.shape[-1:])
    return Deltas((g.op("Mul", by_xhat, inverse), *(None,) * (len(seen.inputs) - 1)), grads)


def layer_norm_forward(g: Graph, layer: kinds.LayerNorm | kinds.RMSNorm, weights: Names, inputs: tuple[Value, ...]
                       ) -> Taken:  # fmt: skip
    """y = scale xhat + bias, xhat = (x - mean) / sqrt(var + eps) over the last axes; no mean for rms norm."""
    x, along = g.plain(inputs[0]), np.arange(-layer.axes, 0)
    if isinstance(layer, kinds.LayerNorm):
        x = g.op("Sub", x, g.op("ReduceMean", x, along, keepdims=1))
    square = g.op("ReduceMean", g.op("Mul", x, x), along, keepdims=1)
    inverse = g.op("Reciprocal", g.op("Sqrt", g.op("Add", square, float(layer.eps))))
    xhat = g.op("Mul", x, inverse)
    return Taken(_scaled(g, xhat, weights), (xhat, inverse))


@to_onnx_backward.register(kinds.LayerNorm, kinds.RMSNorm, settings="axes eps", forward=layer_norm_forward)
def layer_norm(g: Graph, seen: Seen) -> Deltas:
    """dx = inverse (q - mean(q) - xhat mean(q xhat)), q = dy scale; no mean(q) for rms norm."""
    (xhat, inverse), layer = seen.tape, seen.layer
    q, grads = _gradients(g, seen, xhat, seen.dy.shape[-layer.axes :])
    along = np.arange(-layer.axes, 0)
    slope = g.op("Mul", xhat, g.op("ReduceMean", g.op("Mul", q, xhat), along, keepdims=1))
    centred = q
    if isinstance(layer, kinds.LayerNorm):
        centred = g.op("Sub", q, g.op("ReduceMean", q, along, keepdims=1))
    return Deltas((g.op("Mul", inverse, g.op("Sub", centred, slope)),), grads)
