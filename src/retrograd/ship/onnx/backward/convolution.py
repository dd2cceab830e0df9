"""Backward passes of convolutions."""

from __future__ import annotations

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.convolution.convolution import Convolution, groups_of
from retrograd.network.layers.shared.window import Window, place_window
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, to_onnx_backward
from retrograd.ship.onnx.forms.convolution import SETTINGS
from retrograd.ship.onnx.graph import Graph, Value


def convolution_forward(g: Graph, layer: Convolution, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """Conv, with its weight transposed to [filters, channels of a group, *kernel]."""
    (x,) = inputs
    window = _window(layer, x)
    axes = len(window.kernel)
    turned = g.op("Transpose", weights["weight"], perm=[axes + 1, axes, *range(axes)])
    y = g.op("Conv", g.channels_first(x), turned, weights.get("bias"), kernel_shape=list(window.kernel),
             strides=list(window.stride), dilations=list(window.dilation), group=_groups(layer, x),
             pads=[p[0] for p in window.padding] + [p[1] for p in window.padding])  # fmt: skip
    return Taken(Value(y, first=True), turned)


def _groups(layer: Convolution, x: Value) -> int:
    return groups_of(layer.groups, x.shape[-1], int(layer.filters))


def _window(layer: Convolution, x: Value) -> Window:
    return place_window(x.shape[1:-1], layer.kernel, layer.stride, layer.dilation, layer.padding)


@to_onnx_backward.register(kinds.Conv1D, kinds.Conv2D, kinds.Conv3D, settings=SETTINGS, forward=convolution_forward)
def convolution(g: Graph, seen: Seen) -> Deltas:
    """dx = ConvTranspose of dy; dW = Conv of x by dy with batch and channels swapped; db = Σ dy."""
    (x,), layer = seen.inputs, seen.layer
    window, dy = _window(layer, x), g.channels_first(seen.dy)
    grads, dx = {}, None
    if "bias" in seen.trained:
        grads["bias"] = g.op("ReduceSum", dy, np.array([0, *range(2, len(x.shape))]), keepdims=0)
    if "weight" in seen.trained:
        grads["weight"] = _weight_gradient(g, g.channels_first(x), dy, window, _groups(layer, x), x.shape[-1])
    if seen.wanted[0]:
        dx = Value(data_gradient(g, dy, seen.tape, window, _groups(layer, x)), first=True)
    return Deltas((dx,), grads)


def data_gradient(g: Graph, dy: str, weight: str, window: Window, groups: int) -> str:
    """Return the delta of the input of a kernel [filters, channels of a group, *kernel]."""
    ends = [high for _, high in window.margins]
    return g.op("ConvTranspose", dy, weight, kernel_shape=list(window.kernel), strides=list(window.stride),
                dilations=list(window.dilation), group=groups,
                pads=[p[0] for p in window.padding] + [max(end, 0) for end in ends],
                output_padding=[max(-end, 0) for end in ends])  # fmt: skip


def _weight_gradient(g: Graph, x: str, dy: str, window: Window, groups: int, channels: int) -> str:
    """Return dW [*kernel, channels of a group, filters]: dy slides over x, with stride and dilation swapped."""
    axes = len(window.kernel)
    places = [*range(2, axes + 2)]
    if groups == 1:
        turned = g.op("Transpose", x, perm=[1, 0, *places])
    else:  # [channels of a group, groups · batch, ...]
        apart = g.reshape(x, 0, groups, channels // groups, *window.lengths)
        apart = g.op("Transpose", apart, perm=[2, 1, 0, *(i + 1 for i in places)])
        turned = g.reshape(apart, channels // groups, -1, *window.lengths)
    kernel = g.op("Transpose", dy, perm=[1, 0, *places])  # [filters, batch, ...]
    grad = g.op("Conv", turned, kernel, kernel_shape=list(window.outputs), strides=list(window.dilation),
                dilations=list(window.stride), group=groups,
                pads=[p[0] for p in window.padding] + [max(high, 0) for _, high in window.margins])  # fmt: skip
    if any(high < 0 for _, high in window.margins):  # positions that no window covers
        starts, ends = np.zeros(axes, np.int64), np.array(window.kernel)
        grad = g.op("Slice", grad, starts, ends, np.array(places))
    return g.op("Transpose", grad, perm=[*places, 0, 1])
