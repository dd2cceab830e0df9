"""Normalisations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from retrograd.network import layers as kinds
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.BatchNorm, settings="eps momentum")
def batch_norm(
    g: Graph, layer: kinds.BatchNorm | kinds.InstanceNorm, weights: Weights, x: Value, *mask: Value
) -> Value:
    """BatchNormalization, which runtimes fold into a preceding convolution; else y = (x - mean) factor + bias."""
    mean, var = weights["mean"], weights["var"]
    scale, bias = weights.get("scale", np.ones_like(mean)), weights.get("bias", np.zeros_like(mean))
    if x.first or len(x.shape) == 2:
        arrays = {"scale": scale, "bias": bias, "mean": mean, "var": var}
        names = [g.constant(array, name) for name, array in arrays.items()]
        return g.each("BatchNormalization", x, *names, epsilon=float(layer.eps))
    factor = (scale / np.sqrt(var.astype(np.float64) + layer.eps)).astype(np.float32)
    y = g.op("Mul", g.op("Sub", x, g.constant(mean, "mean")), g.constant(factor, "factor"))
    return replace(x, name=g.op("Add", y, g.constant(bias, "bias")))


@to_onnx.register(kinds.LayerNorm, settings="axes eps")
def layer_norm(g: Graph, layer: kinds.LayerNorm, weights: Weights, x: Value) -> str:
    """LayerNormalization over the last axes."""
    scale = weights.get("scale", np.ones(x.shape[-layer.axes :], np.float32))
    bias = g.constant(weights["bias"], "bias") if "bias" in weights else None
    return g.op("LayerNormalization", x, g.constant(scale, "scale"), bias, axis=-layer.axes, epsilon=float(layer.eps))


@to_onnx.register(kinds.RMSNorm, settings="axes eps")
def rms_norm(g: Graph, layer: kinds.RMSNorm, weights: Weights, x: Value) -> str:
    """y = scale x / sqrt(mean(x²) + eps)."""
    name = g.plain(x)
    square = g.op("ReduceMean", g.op("Mul", name, name), np.arange(-layer.axes, 0), keepdims=1)
    return g.scaled(g.op("Div", name, g.op("Sqrt", g.op("Add", square, float(layer.eps)))), weights)


@to_onnx.register(kinds.InstanceNorm, settings="eps running momentum")
def instance_norm(g: Graph, layer: kinds.InstanceNorm, weights: Weights, x: Value) -> Value:
    """InstanceNormalization, with ones and zeros for a missing scale or bias; batch norm for running statistics."""
    if layer.running:
        return batch_norm(g, layer, weights, x)
    ones = np.ones(x.shape[-1], np.float32)
    scale, bias = weights.get("scale", ones), weights.get("bias", 0 * ones)
    name = g.op("InstanceNormalization", g.channels_first(x), g.constant(scale, "scale"), g.constant(bias, "bias"),
                epsilon=float(layer.eps))  # fmt: skip
    return Value(name, first=True)


@to_onnx.register(kinds.GroupNorm, settings="eps groups")
def group_norm(g: Graph, layer: kinds.GroupNorm, weights: Weights, x: Value) -> Value:
    """InstanceNormalization of groups as if they were channels, then scale and bias for each channel."""
    ones, channels, places = np.ones(layer.groups, np.float32), x.shape[-1], x.shape[1:-1]
    grouped = g.reshape(g.channels_first(x), 0, layer.groups, channels // layer.groups * math.prod(places))
    normal = g.op("InstanceNormalization", grouped, ones, 0 * ones, epsilon=float(layer.eps))
    y = Value(g.reshape(normal, 0, channels, *places), x.shape, first=len(x.shape) > 2)
    shaped = {name: g.by_channel(y, array) for name, array in weights.items()}
    return replace(y, name=g.scaled(y.name, shaped))


@to_onnx.register(kinds.LocalResponseNorm, settings="size alpha beta k")
def local_response_norm(g: Graph, layer: kinds.LocalResponseNorm, weights: Weights, x: Value) -> str:
    """y = x / s^beta; a product with a band matrix of ones sums the squares of neighbouring channels."""
    name, channel = g.plain(x), np.arange(x.shape[-1])
    apart = channel[:, None] - channel  # from the one that is divided
    band = (apart >= -(layer.size // 2)) & (apart <= (layer.size - 1) // 2)
    sums = g.op("MatMul", g.op("Mul", name, name), band.astype(np.float32))
    s = g.op("Add", g.op("Mul", sums, float(layer.alpha / layer.size)), float(layer.k))
    return g.op("Div", name, g.op("Pow", s, float(layer.beta)))
