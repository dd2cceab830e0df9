"""Backward passes of pooling."""

from __future__ import annotations

import math

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.shared.window import Window, place_window
from retrograd.ship.onnx.backward.convolution import data_gradient
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, to_onnx_backward
from retrograd.ship.onnx.graph import TYPES, Graph, Value


def _window(layer: kinds.MaxPool | kinds.AveragePool, x: Value) -> Window:
    stride = layer.window if layer.stride is None else layer.stride
    return place_window(x.shape[1:-1], layer.window, stride, layer.dilation, layer.padding, layer.ceil)


def max_pool_forward(g: Graph, layer: kinds.MaxPool, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """MaxPool after padding with -infinity, and the indices of the largest values in its whole input."""
    (x,) = inputs
    window, name = _window(layer, x), g.channels_first(x)
    low, high = zip(*window.margins, strict=True)
    if any(low) or any(end > 0 for end in high):
        edges = np.array([0, 0, *low, 0, 0, *(max(end, 0) for end in high)], np.int64)
        name = g.op("Pad", name, edges, np.float32(-np.inf))
    y, places = g.ops("MaxPool", 2, name, kernel_shape=list(window.kernel), strides=list(window.stride),
                      dilations=list(window.dilation))  # fmt: skip
    return Taken(Value(y, first=True), (name, places))


@to_onnx_backward.register(kinds.MaxPool, settings="window stride padding dilation ceil", forward=max_pool_forward)
def max_pool(g: Graph, seen: Seen) -> Deltas:
    """dx = dy at the first largest value of each window, summed over the windows that contain it."""
    (x,), (padded, places) = seen.inputs, seen.tape
    window = _window(seen.layer, x)
    shape = g.op("Shape", padded)
    zeros = g.op("Expand", 0.0, g.op("ReduceProd", shape, keepdims=1))
    flat = g.op("ScatterElements", zeros, g.reshape(places, -1), g.reshape(g.channels_first(seen.dy), -1),
                axis=0, reduction="add")  # fmt: skip
    dx = g.op("Reshape", flat, shape)
    low = [begin for begin, _ in window.margins]
    if any(low) or any(end > 0 for _, end in window.margins):
        ends = [begin + length for begin, length in zip(low, x.shape[1:-1], strict=True)]
        dx = g.op("Slice", dx, np.array(low), np.array(ends), np.arange(2, 2 + x.axes))
    return Deltas((Value(dx, first=True),))


@to_onnx_backward.register(kinds.AveragePool, settings="window stride padding ceil count_padding dilation divisor")
def average_pool(g: Graph, seen: Seen) -> Deltas:
    """dx = dy / count, summed over the windows that contain x."""
    (x,), layer = seen.inputs, seen.layer
    window = _window(layer, x)
    shares = np.moveaxis(layer.shares(window), -1, 0).astype(np.float32)
    each = g.op("Mul", g.channels_first(seen.dy), shares)
    ones = np.ones((x.shape[-1], 1, *window.kernel), np.float32)
    return Deltas((Value(data_gradient(g, each, g.constant(ones), window, x.shape[-1]), first=True),))


@to_onnx_backward.register(kinds.GlobalAveragePool, settings="")
def global_average_pool(g: Graph, seen: Seen) -> Deltas:
    """dx = dy / number of positions; with a mask, of those that count, and 0 elsewhere."""
    x, *mask = seen.inputs
    dy = g.op("Unsqueeze", seen.dy, np.arange(1, x.axes + 1))
    if not mask:
        share = g.op("Div", dy, float(math.prod(x.shape[1:-1])))
        return Deltas((g.op("Mul", share, np.ones((1, *x.shape[1:]), np.float32)),))
    counts = g.op("Cast", mask[0], to=TYPES["float32"])
    total = g.op("Max", g.op("ReduceSum", counts, np.arange(1, x.axes + 1), keepdims=1), 1.0)
    share = g.op("Unsqueeze", g.op("Div", counts, total), np.array([x.axes + 1]))
    return Deltas((g.op("Mul", dy, share), None))


@to_onnx_backward.register(kinds.GlobalMaxPool, settings="")
def global_max_pool(g: Graph, seen: Seen) -> Deltas:
    """dx = dy at the first largest value that counts, else 0."""
    x, *mask = seen.inputs
    name = g.plain(x)
    if mask:
        name = g.op("Where", g.op("Unsqueeze", mask[0], np.array([x.axes + 1])), name, np.float32(-np.inf))
    places = math.prod(x.shape[1:-1])
    first = g.op("ArgMax", g.reshape(name, 0, places, x.shape[-1]), axis=1, keepdims=1)
    wins = g.op("Equal", first, np.arange(places)[:, None])
    dx = g.op("Where", wins, g.op("Unsqueeze", seen.dy, np.array([1])), 0.0)
    dx = g.reshape(dx, 0, *x.shape[1:])
    if mask:
        dx = g.op("Where", g.op("Unsqueeze", mask[0], np.array([x.axes + 1])), dx, 0.0)
    return Deltas((dx, *(None,) * len(mask)))
