"""Convolutions."""

from __future__ import annotations

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose
from retrograd.network.layers.shared.window import axis_margins, each_axis, place_window
from retrograd.ship.onnx.forms.rearranging import sources
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

SETTINGS = "filters kernel stride padding dilation groups activation"  # of convolutions, and of their opposites


@to_onnx.register(kinds.Conv1D, kinds.Conv2D, kinds.Conv3D, settings=f"{SETTINGS} padding_mode")
def convolution(g: Graph, layer: Convolution, weights: Weights, x: Value) -> Value:
    """Conv, after padding with copies from inside if the layer asks for that."""
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


@to_onnx.register(
    kinds.Conv1DTranspose, kinds.Conv2DTranspose, kinds.Conv3DTranspose, settings=f"{SETTINGS} output_padding"
)
def convolution_transpose(g: Graph, layer: ConvolutionTranspose, weights: Weights, x: Value) -> Value:
    """ConvTranspose, cropped at the end to the layer's lengths."""
    names = ("kernel", "stride", "dilation", "output_padding")
    kernel, stride, dilation, extra = (each_axis(getattr(layer, name), x.axes, name) for name in names)
    lengths = x.shape[1:-1]
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if layer.padding == "same":
        outputs = [n * s for n, s in zip(lengths, stride, strict=True)]
        low = [p[0] for p in place_window(outputs, kernel, stride, dilation, "same").padding]
        surplus = [(n - 1) * s + e - before - out
                   for n, s, e, before, out in zip(lengths, stride, extent, low, outputs, strict=True)]  # fmt: skip
    else:
        margins = axis_margins(layer.padding, lengths, extent, stride)
        low = [p[0] for p in margins]
        surplus = [p[1] - more for p, more in zip(margins, extra, strict=True)]  # what goes, or is added, at each end
    weight = np.moveaxis(weights["weight"], (-2, -1), (0, 1))  # [channels, filters of a group, *kernel]
    y = g.op("ConvTranspose", g.channels_first(x), g.constant(weight, "weight"), _bias(g, weights),
             kernel_shape=list(kernel), strides=list(stride), dilations=list(dilation),
             pads=low + [max(n, 0) for n in surplus], output_padding=[max(-n, 0) for n in surplus],
             group=int(layer.filters) // weight.shape[1])  # fmt: skip
    return Value(y, first=True)
