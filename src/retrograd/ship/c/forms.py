"""C forms of layers: each adds calls of routines to a file."""

from __future__ import annotations

import math
from string import Formatter
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network import layers as kinds
from retrograd.network.layer import Layer, Spec
from retrograd.network.layers.activations.gelu import CUBIC, SLOPE
from retrograd.network.layers.shared.window import Window, place_window
from retrograd.ship.c.source import Source, number
from retrograd.ship.forms import ONLY_IN_TRAINING, THEIR_SETTINGS, Forms

LOGISTIC = "0.5f * tanhf(0.5f * v) + 0.5f"
FORMULAS: dict[type[Layer], str] = {  # of activations, v -> y; {name} is a setting
    kinds.ReLU: "v <= {threshold} ? 0.0f : v",
    kinds.ReLU6: "fminf(fmaxf(v, 0.0f), 6.0f)",
    kinds.Tanh: "tanhf(v)",
    kinds.Sigmoid: LOGISTIC,
    kinds.Exponential: "expf(v)",
    kinds.Softplus: "fmaxf(v, 0.0f) + log1pf(expf(-{beta} * fabsf(v))) / {beta}",
    kinds.LogSigmoid: "fminf(v, 0.0f) - log1pf(expf(-fabsf(v)))",
    kinds.Softsign: "v / (1.0f + fabsf(v))",
    kinds.HardSigmoid: "fminf(fmaxf({slope} * v + 0.5f, 0.0f), 1.0f)",
    kinds.HardSwish: "v * (fminf(fmaxf(v + 3.0f, 0.0f), 6.0f) / 6.0f)",
    kinds.SiLU: f"v * ({LOGISTIC})",
    kinds.Mish: "v * tanhf(fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v))))",
    kinds.ELU: "v > 0.0f ? v : {alpha} * expm1f(v)",
    kinds.CELU: "v > 0.0f ? v : {alpha} * expm1f(v / {alpha})",
    kinds.SELU: "{scale} * (v > 0.0f ? v : {alpha} * expm1f(v))",
    kinds.LeakyReLU: "v > 0.0f ? v : {slope} * v",
}
AS_ONNX = "write it as ONNX: name the file model.onnx"
NOT_IN_C = "cannot be written in C"
to_c = Forms(NOT_IN_C, lambda layer: AS_ONNX)


class Place(NamedTuple):
    """The weights of a layer, pointers to its inputs and output, and their specs for one row."""

    weights: dict[str, np.ndarray]
    x: tuple[str, ...]
    y: str
    inputs: tuple[Spec, ...]
    output: Spec

    @property
    def rows(self) -> int:
        """The number of rows of channels in the first input."""
        return math.prod(self.inputs[0].shape[1:-1])

    @property
    def channels(self) -> int:
        """The length of the first input's last axis."""
        return int(self.inputs[0].shape[-1])

    @property
    def size(self) -> int:
        """The length of the output."""
        return math.prod(self.output.shape[1:])


def refused(s: Source, layer: Layer, why: str) -> ConfigError:
    """Return the error for a layer whose settings have no C form."""
    return ConfigError(f"{layer.kind} {why} {NOT_IN_C}", where=s.path, cure=AS_ONNX)


@to_c.register(*ONLY_IN_TRAINING, kinds.Flatten, kinds.Reshape, settings=f"{THEIR_SETTINGS} shape")
def nothing(s: Source, layer: Layer, at: Place) -> None:
    """Layers that just pass on their input outside training."""


def formula(s: Source, layer: Layer, at: Place) -> None:
    """A function of each element."""
    pattern = FORMULAS[type(layer)]
    settings = {name: number(getattr(layer, name)) for name in placeholders(pattern)}
    s.each(layer.kind, pattern.format(**settings), at.x[0], at.y, at.size)


def placeholders(pattern: str) -> list[str]:
    """Return the settings that a formula uses."""
    return [name for _, name, _, _ in Formatter().parse(pattern) if name]


for kind, pattern in FORMULAS.items():
    to_c.register(kind, settings=" ".join(placeholders(pattern)))(formula)


@to_c.register(kinds.GELU, settings="approximate")
def gelu(s: Source, layer: kinds.GELU, at: Place) -> None:
    """y = v p, p exact or by tanh."""
    exact = "0.5f * v * (1.0f + erff(0.70710678f * v))"
    near = f"v * (0.5f * tanhf({SLOPE}f * v * (1.0f + {CUBIC}f * v * v)) + 0.5f)"
    s.each(layer.kind, near if layer.approximate else exact, at.x[0], at.y, at.size)


@to_c.register(kinds.Softmax, settings="axis")
def softmax(s: Source, layer: kinds.Softmax, at: Place) -> None:
    """Softmax over the features."""
    if layer.axis not in (-1, len(at.inputs[0].shape) - 1):
        raise refused(s, layer, f"along axis {layer.axis}")
    s.call("softmax", at.x[0], at.y, at.rows, at.channels)


@to_c.register(kinds.PReLU, settings="first shared")
def prelu(s: Source, layer: kinds.PReLU, at: Place) -> None:
    """A slope for each channel."""
    slope = s.array(np.broadcast_to(at.weights["slope"], at.channels), "slope")
    s.call("slopes", at.x[0], at.y, slope, at.rows, at.channels)


@to_c.register(kinds.Dense, settings="units activation")
def dense(s: Source, layer: kinds.Dense, at: Place) -> None:
    """y = x W + b."""
    weight = at.weights["weight"]
    s.call("dense", at.x[0], at.y, s.array(weight, "weight"), _bias(s, at), at.rows, at.channels, weight.shape[1])


@to_c.register(kinds.Conv1D, kinds.Conv2D, settings="filters kernel stride padding dilation groups activation")
def convolution(s: Source, layer: kinds.Conv1D | kinds.Conv2D, at: Place) -> None:
    """Sums over the positions of a kernel, with zeros beyond the borders."""
    lengths = at.inputs[0].shape[1:-1]
    window = _two_axes(place_window(lengths, layer.kernel, layer.stride, layer.dilation, layer.padding))
    weight = at.weights["weight"]
    form = [*window["lengths"], at.channels, at.output.shape[-1], *window["outputs"], *window["kernel"],
            *window["stride"], *window["dilation"], *window["before"], at.channels // weight.shape[-2]]  # fmt: skip
    constant = s.array(weight, "weight")
    s.call("convolution", at.x[0], at.y, constant, _bias(s, at), s.array(np.array(form), "form"))


@to_c.register(kinds.MaxPool, settings="window stride padding dilation ceil")
def max_pool(s: Source, layer: kinds.MaxPool, at: Place) -> None:
    """The largest value of each window."""
    window, form = _pooled(s, layer, at, layer.dilation)
    s.call("max_pool", at.x[0], at.y, s.array(np.array([*form, *window["dilation"], *window["before"]]), "form"))


@to_c.register(kinds.AveragePool, settings="window stride padding ceil count_padding divisor")
def average_pool(s: Source, layer: kinds.AveragePool, at: Place) -> None:
    """The sum over each window, times a factor."""
    window, form = _pooled(s, layer, at)
    share = s.array(layer.shares(_placed(layer, at)).astype(np.float32), "share")
    s.call("average_pool", at.x[0], at.y, share, s.array(np.array([*form, *window["before"]]), "form"))


@to_c.register(kinds.GlobalAveragePool, kinds.GlobalMaxPool, settings="")
def global_pool(s: Source, layer: Layer, at: Place) -> None:
    """The mean or maximum over all positions."""
    if len(at.inputs) > 1:
        raise refused(s, layer, "with a mask")
    routine = "average_all" if isinstance(layer, kinds.GlobalAveragePool) else "max_all"
    s.call(routine, at.x[0], at.y, at.rows, at.channels)


@to_c.register(kinds.BatchNorm, settings="eps momentum")
def batch_norm(s: Source, layer: kinds.BatchNorm, at: Place) -> None:
    """y = (x - mean) factor + bias."""
    weights, mean = at.weights, at.weights["mean"]
    inverse = 1 / np.sqrt(weights["var"].astype(np.float64) + layer.eps)
    factor = (weights.get("scale", 1.0) * inverse).astype(np.float32)
    arrays = {"mean": mean, "factor": factor, "bias": weights.get("bias", np.zeros_like(mean))}
    names = [s.array(array, name) for name, array in arrays.items()]
    s.call("normalise", at.x[0], at.y, *names, at.rows, at.channels)


@to_c.register(kinds.Add, kinds.Multiply, settings="broadcast")
def merge(s: Source, layer: Layer, at: Place) -> None:
    """Sums or products, element by element."""
    if len({spec.shape for spec in at.inputs}) > 1:
        raise refused(s, layer, "of different shapes")
    if len(at.inputs) == 1:
        raise refused(s, layer, "of a single input")
    name, sign = ("add", "+") if isinstance(layer, kinds.Add) else ("multiply", "*")
    s.pairs(name, sign, at.x, at.y, at.size)


@to_c.register(kinds.Concat, settings="axis")
def concat(s: Source, layer: kinds.Concat, at: Place) -> None:
    """Concatenation of the features."""
    if layer.axis not in (-1, len(at.inputs[0].shape) - 1):
        raise refused(s, layer, f"along axis {layer.axis}")
    first = 0
    for pointer, spec in zip(at.x, at.inputs, strict=True):
        s.call("side_by_side", pointer, at.y, at.rows, spec.shape[-1], at.output.shape[-1], first)
        first += spec.shape[-1]


def _bias(s: Source, at: Place) -> str:
    return s.array(at.weights["bias"], "bias") if "bias" in at.weights else "0"


def _placed(layer: Any, at: Place, dilation: Any = 1) -> Window:
    stride = layer.window if layer.stride is None else layer.stride
    return place_window(at.inputs[0].shape[1:-1], layer.window, stride, dilation, layer.padding, layer.ceil)


def _pooled(s: Source, layer: Any, at: Place, dilation: Any = 1) -> tuple[dict[str, list[int]], list[int]]:
    """Return the window of a pooling layer, and the first numbers for its routine."""
    if len(at.inputs[0].shape) > 4:
        raise refused(s, layer, "with three axes")
    window = _two_axes(_placed(layer, at, dilation))
    return window, [*window["lengths"], at.channels, *window["outputs"], *window["kernel"], *window["stride"]]


def _two_axes(window: Window) -> dict[str, list[int]]:
    """Return a window's numbers for height and width; a sequence has height 1."""
    more = 2 - len(window.kernel)
    return {
        "lengths": [1] * more + [*window.lengths],
        "outputs": [1] * more + [*window.outputs],
        "kernel": [1] * more + [*window.kernel],
        "stride": [1] * more + [*window.stride],
        "dilation": [1] * more + [*window.dilation],
        "before": [0] * more + [low for low, _ in window.padding],
    }
