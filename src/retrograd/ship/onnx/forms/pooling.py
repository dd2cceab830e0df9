"""Pooling, and its opposite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.pooling.adaptive_average_pool import means
from retrograd.network.layers.pooling.upsample import straight_lines
from retrograd.network.layers.shared.window import Window, each_axis, place_window
from retrograd.ship.onnx.graph import TYPES, Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.MaxPool, settings="window stride padding dilation ceil")
def max_pool(g: Graph, layer: kinds.MaxPool, weights: Weights, x: Value) -> Value:
    """MaxPool, after padding with -infinity if ONNX does not allow as much padding."""
    stride = layer.window if layer.stride is None else layer.stride
    window = place_window(x.shape[1:-1], layer.window, stride, layer.dilation, layer.padding, layer.ceil)
    name, pads = g.channels_first(x), _pads(window)
    if any(n >= k for n, k in zip(pads, window.kernel * 2, strict=True)):
        axes = len(window.kernel)
        edges = np.array([0, 0, *pads[:axes], 0, 0, *pads[axes:]], np.int64)
        name, pads = g.op("Pad", name, edges, np.float32(-np.inf)), [0] * len(pads)
    y = g.op("MaxPool", name, kernel_shape=list(window.kernel), strides=list(window.stride), pads=pads,
             dilations=list(window.dilation))  # fmt: skip
    return Value(y, first=True)


@to_onnx.register(kinds.AveragePool, settings="window stride padding dilation ceil count_padding divisor")
def average_pool(g: Graph, layer: kinds.AveragePool, weights: Weights, x: Value) -> Value:
    """AveragePool over all positions, times a factor where fewer count."""
    stride = layer.window if layer.stride is None else layer.stride
    window = place_window(x.shape[1:-1], layer.window, stride, layer.dilation, layer.padding, layer.ceil)
    settings = {"kernel_shape": list(window.kernel), "strides": list(window.stride), "pads": _pads(window)}
    if set(window.dilation) == {1}:
        y = g.op("AveragePool", g.channels_first(x), count_include_pad=1, **settings)
    else:  # which AveragePool has from opset 19 on
        share = np.full((x.shape[-1], 1, *window.kernel), 1 / np.prod(window.kernel), np.float32)
        y = g.op("Conv", g.channels_first(x), share, group=x.shape[-1], dilations=list(window.dilation), **settings)
    factors = np.moveaxis(layer.shares(window), -1, 0) * np.prod(window.kernel)
    return Value(y if (factors == 1).all() else g.op("Mul", y, factors.astype(np.float32)), first=True)


def _pads(window: Window) -> list[int]:
    """Return padding that gives the window's number of outputs, including a last one beyond the end."""
    return [low for low, _ in window.margins] + [max(high, 0) for _, high in window.margins]


@to_onnx.register(kinds.GlobalAveragePool, settings="")
def global_average_pool(g: Graph, layer: kinds.GlobalAveragePool, weights: Weights, x: Value, *mask: Value) -> str:
    """The mean over all positions, or over those in a mask."""
    if not mask:
        return g.op("ReduceMean", x.name, _places(x), keepdims=0)
    counts = g.op("Cast", mask[0], to=TYPES["float32"])
    places = np.arange(1, x.axes + 1)
    total = g.op("Unsqueeze", g.op("Max", g.op("ReduceSum", counts, places, keepdims=0), 1.0), np.array([1]))
    seen = g.op("Mul", x, g.op("Unsqueeze", counts, np.array([x.axes + 1])))
    return g.op("Div", g.op("ReduceSum", seen, places, keepdims=0), total)


@to_onnx.register(kinds.GlobalMaxPool, settings="")
def global_max_pool(g: Graph, layer: kinds.GlobalMaxPool, weights: Weights, x: Value, *mask: Value) -> str:
    """The largest value over all positions, or over those in a mask; 0 if there are none."""
    if mask:
        places, last = np.arange(1, x.axes + 1), np.array([x.axes + 1])
        seen = g.op("Where", g.op("Unsqueeze", mask[0], last), x, np.float32(-np.inf))
        counts = g.op("ReduceMax", g.op("Cast", mask[0], to=TYPES["float32"]), places, keepdims=0)
        some = g.op("Unsqueeze", g.op("Greater", counts, 0.0), np.array([1]))
        return g.op("Where", some, g.op("ReduceMax", seen, places, keepdims=0), np.float32(0))
    return g.op("ReduceMax", x.name, _places(x), keepdims=0)


def _places(x: Value) -> np.ndarray:
    return np.array([x.along(axis) for axis in range(1, x.axes + 1)])


@to_onnx.register(kinds.AdaptiveAveragePool, settings="output")
def adaptive_average_pool(g: Graph, layer: kinds.AdaptiveAveragePool, weights: Weights, x: Value) -> Value:
    """A product with the matrix of means along each axis."""
    outputs = each_axis(layer.output, x.axes, "output")
    return _map_axes(g, x, [means(n, length) for n, length in zip(outputs, x.shape[1:-1], strict=True)])


@to_onnx.register(kinds.Upsample, settings="factor method")
def upsample(g: Graph, layer: kinds.Upsample, weights: Weights, x: Value) -> Value:
    """Resize, or a product for linear interpolation of a sequence."""
    factors = each_axis(layer.factor, x.axes, "factor")
    if layer.method == "bilinear" and x.axes == 1:
        return _map_axes(g, x, [straight_lines(x.shape[1], factors[0])])
    scales = np.array([1, 1, *factors], np.float32)
    way = {"nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
           "bilinear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}}  # fmt: skip
    return Value(g.op("Resize", g.channels_first(x), None, scales, **way[layer.method]), first=True)


@to_onnx.register(kinds.AdaptiveMaxPool, settings="output")
def adaptive_max_pool(g: Graph, layer: kinds.AdaptiveMaxPool, weights: Weights, x: Value) -> str:
    """The largest value of each region, axis by axis."""
    name = g.plain(x)
    for axis, (n, length) in enumerate(zip(each_axis(layer.output, x.axes, "output"), x.shape[1:-1], strict=True), 1):
        along, parts = np.array([axis]), []
        for region in means(n, length) > 0:
            first, *_, last = [region.argmax(), region.nonzero()[0][-1]]
            part = g.op("Slice", name, np.array([first]), np.array([last + 1]), along)
            parts.append(g.op("ReduceMax", part, along, keepdims=1))
        name = g.op("Concat", *parts, axis=axis)
    return name


def _map_axes(g: Graph, x: Value, matrices: Sequence[np.ndarray]) -> Value:
    """Return x [batch, channels, *lengths] with each axis multiplied by its matrix [outputs, length]."""
    *rows, columns = (matrix.astype(np.float32) for matrix in matrices)
    y = g.op("MatMul", g.channels_first(x), columns.T)
    if rows:
        y = g.op("MatMul", rows[-1], y)
    if len(rows) == 2:  # the depth, with height and width as one axis
        flat = g.op("MatMul", rows[0], g.reshape(y, 0, 0, 0, -1))
        y = g.reshape(flat, 0, 0, 0, len(rows[1]), len(columns))
    return Value(y, first=True)


@to_onnx.register(kinds.RoiAlign, settings="size scale samples")
def roi_align(g: Graph, layer: kinds.RoiAlign, weights: Weights, x: Value, boxes: Value) -> str:
    """RoiAlign of all boxes in one list, each with the index of its image."""
    count = boxes.shape[1]
    rows = g.op("Gather", g.op("Shape", boxes), np.int64(0), axis=0)
    numbers = g.op("Unsqueeze", g.op("Range", np.int64(0), rows, np.int64(1)), np.array([1]))
    of_each = g.op("Reshape", g.op("Expand", numbers, np.array([1, count])), np.array([-1]))
    regions = g.op("RoiAlign", g.channels_first(x), g.reshape(boxes, -1, 4), of_each, output_height=layer.size,
                   output_width=layer.size, sampling_ratio=layer.samples, spatial_scale=float(layer.scale), mode="avg",
                   coordinate_transformation_mode="half_pixel")  # fmt: skip
    last = g.op("Transpose", regions, perm=[0, 2, 3, 1])
    return g.reshape(last, -1, count, layer.size, layer.size, x.shape[-1])
