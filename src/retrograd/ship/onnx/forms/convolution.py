"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.shared.window import axis_margins, each_axis, place_window
from retrograd.ship.onnx.forms.rearranging import sources
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.Conv1D, kinds.Conv2D)
def convolution(g: Graph, layer: Convolution, weights: Weights, x: Value) -> Value:
    """Conv, its margins copied from inside before it where the layer asks for that."""
    window = place_window(x.shape[1:-1], layer.kernel, layer.stride, layer.dilation, layer.padding)
    name, pads = g.channels_first(x), [p[0] for p in window.padding] + [p[1] for p in window.padding]
    if layer.padding_mode != "zeros":
        for axis, (length, margins) in enumerate(zip(window.lengths, window.padding, strict=True), 2):
            name = g.op("Gather", name, sources(length, margins, layer.padding_mode), axis=axis)
        pads = [0] * len(pads)
    weight = np.moveaxis(weights["weight"], (-1, -2), (0, 1))  # [filters, channels of a group, *kernel]
    settings = {"strides": list(window.stride), "dilations": list(window.dilation), "pads": pads}
    y = g.op("Conv", name, g.constant(weight, "weight"), _bias(g, weights), kernel_shape=list(window.kernel),
             group=x.shape[-1] // weight.shape[1], **settings)  # fmt: skip
    return Value(y, first=True)


def _bias(g: Graph, weights: Weights) -> str | None:
    return g.constant(weights["bias"], "bias") if "bias" in weights else None


@to_onnx.register(kinds.Conv2DTranspose)
def conv2d_transpose(g: Graph, layer: kinds.Conv2DTranspose, weights: Weights, x: Value) -> Value:
    """ConvTranspose, cut at the end to the layer's lengths."""
    kernel, stride = each_axis(layer.kernel, 2, "kernel"), each_axis(layer.stride, 2, "stride")
    lengths = x.shape[1:-1]
    outputs = [n * s for n, s in zip(lengths, stride, strict=True)]
    if layer.padding == "same":
        low = [p[0] for p in place_window(outputs, kernel, stride, 1, "same").padding]
        surplus = _surplus(lengths, kernel, stride, low, outputs)
    else:
        margins, extra = axis_margins(layer.padding, lengths, kernel, stride), each_axis(layer.output_padding, 2, "")
        low = [p[0] for p in margins]
        surplus = [p[1] - more for p, more in zip(margins, extra, strict=True)]
    weight = np.moveaxis(weights["weight"], (-2, -1), (0, 1))  # [channels, filters, *kernel]
    y = g.op("ConvTranspose", g.channels_first(x), g.constant(weight, "weight"), _bias(g, weights),
             kernel_shape=list(kernel), strides=list(stride), pads=low + [max(n, 0) for n in surplus],
             output_padding=[max(-n, 0) for n in surplus])  # fmt: skip
    return Value(y, first=True)


def _surplus(lengths: Sequence[int], kernel: Sequence[int], stride: Sequence[int], low: Sequence[int],
             outputs: Sequence[int]) -> list[int]:  # fmt: skip
    """Return how many places must go at each end; a negative number is added."""
    return [(n - 1) * s + k - before - out
            for n, k, s, before, out in zip(lengths, kernel, stride, low, outputs, strict=True)]  # fmt: skip
