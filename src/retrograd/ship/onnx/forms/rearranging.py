"""Layers that rearrange values."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.convolution.borders import PaddingMode, pad
from retrograd.network.layers.rearranging.pad import margins_of
from retrograd.network.layers.shared.window import each_axis, place_window
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.Flatten, settings="")
def flatten(g: Graph, layer: kinds.Flatten, weights: Weights, x: Value) -> Value | str:
    """All axes after the batch become one."""
    return x if len(x.shape) == 2 else g.reshape(x, 0, math.prod(x.shape[1:]))


@to_onnx.register(kinds.Reshape, settings="shape")
def reshape(g: Graph, layer: kinds.Reshape, weights: Weights, x: Value) -> str:
    """A new shape after the batch."""
    known = math.prod(n for n in layer.shape if n != -1)
    return g.reshape(x, 0, *(math.prod(x.shape[1:]) // known if n == -1 else n for n in layer.shape))


@to_onnx.register(kinds.Permute, settings="axes")
def permute(g: Graph, layer: kinds.Permute, weights: Weights, x: Value) -> str:
    """Axes in another order."""
    return g.op("Transpose", x, perm=[0, *layer.axes])


@to_onnx.register(kinds.Take, settings="at axis")
def take(g: Graph, layer: kinds.Take, weights: Weights, x: Value) -> str:
    """Some positions of an axis."""
    return g.op("Gather", x, np.asarray(layer.at, np.int64), axis=layer.axis % len(x.shape))


@to_onnx.register(kinds.Pad, settings="padding mode value")
def padded(g: Graph, layer: kinds.Pad, weights: Weights, x: Value) -> str:
    """Padding with a number, or with copies from inside."""
    margins = margins_of(layer.padding, x.shape)
    if layer.mode == "constant":
        return _with_margins(g, x, margins, layer.value)
    name = g.plain(x)
    for axis, (length, pair) in enumerate(zip(x.shape, margins, strict=True)):
        if pair != (0, 0):
            name = g.op("Gather", name, sources(length, pair, layer.mode), axis=axis)
    return name


@to_onnx.register(kinds.Crop, settings="border")
def crop(g: Graph, layer: kinds.Crop, weights: Weights, x: Value) -> str:
    """Negative padding."""
    return _with_margins(g, x, margins_of(layer.border, x.shape, -1))


@to_onnx.register(kinds.PixelShuffle, settings="factor")
def pixel_shuffle(g: Graph, layer: kinds.PixelShuffle, weights: Weights, x: Value) -> str:
    """Channels become positions."""
    lengths, axes = x.shape[1:-1], x.axes
    factors = each_axis(layer.factor, axes, "factor")
    channels = x.shape[-1] // math.prod(factors)
    order = [0, *(i for k in range(axes) for i in (1 + k, 2 + axes + k)), 1 + axes]
    split = g.reshape(x, 0, *lengths, channels, *factors)
    larger = (n * f for n, f in zip(lengths, factors, strict=True))
    return g.reshape(g.op("Transpose", split, perm=order), 0, *larger, channels)


@to_onnx.register(kinds.PixelUnshuffle, settings="factor")
def pixel_unshuffle(g: Graph, layer: kinds.PixelUnshuffle, weights: Weights, x: Value) -> str:
    """Positions become channels."""
    lengths, axes = x.shape[1:-1], x.axes
    factors = each_axis(layer.factor, axes, "factor")
    smaller = [n // f for n, f in zip(lengths, factors, strict=True)]
    split = g.reshape(x, 0, *(i for pair in zip(smaller, factors, strict=True) for i in pair), x.shape[-1])
    order = [0, *range(1, 2 * axes, 2), 2 * axes + 1, *range(2, 2 * axes + 1, 2)]
    return g.reshape(g.op("Transpose", split, perm=order), 0, *smaller, x.shape[-1] * math.prod(factors))


@to_onnx.register(kinds.Unfold, settings="kernel stride padding dilation")
def unfold(g: Graph, layer: kinds.Unfold, weights: Weights, x: Value) -> str:
    """The values at each position of the window, concatenated."""
    window = place_window(x.shape[1:-1], layer.kernel, layer.stride, layer.dilation, layer.padding)
    name = _with_margins(g, x, [(0, 0), *window.margins, (0, 0)])
    axes = np.arange(1, x.axes + 1)
    stride, dilation = np.array(window.stride), np.array(window.dilation)
    reach = (np.array(window.outputs) - 1) * stride + 1
    starts = [np.array(place) * dilation for place in window.places]
    views = [g.op("Slice", name, start, start + reach, axes, stride) for start in starts]
    return g.op("Concat", *views, axis=x.axes + 1)


def sources(length: int, margins: tuple[int, int], mode: PaddingMode) -> np.ndarray:
    """Return, for each position of a padded or cropped axis, the position that it copies."""
    low, high = margins
    inside = jnp.arange(max(-low, 0), length - max(-high, 0))
    return np.asarray(pad(inside[None, :, None], [(max(low, 0), max(high, 0))], mode)).ravel().astype(np.int64)


def _with_margins(g: Graph, x: Value, margins: list[tuple[int, int]], value: float = 0.0) -> str:
    if not any(map(any, margins)):
        return g.plain(x)
    return g.op("Pad", x, np.array([n for pair in zip(*margins, strict=True) for n in pair], np.int64), float(value))
