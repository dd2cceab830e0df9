"""A network as C99: constants, the routines that its layers need, and one function from x to the output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrograd.base.errors import ConfigError
from retrograd.network import layers as kinds
from retrograd.network.layer import Spec
from retrograd.network.layers.activations.gelu import CUBIC, SLOPE
from retrograd.network.layers.activations.selu import ALPHA, SCALE
from retrograd.network.layers.shared.window import place_window
from retrograd.network.network import Network, Variables, own_params
from retrograd.ship.c.routines import EACH, PAIR, ROUTINES

LOGISTIC = "0.5f * tanhf(0.5f * v) + 0.5f"
FORMULAS = {  # of activations, v -> y; {name} is a setting
    kinds.ReLU: "fmaxf(v, 0.0f)",
    kinds.ReLU6: "fminf(fmaxf(v, 0.0f), 6.0f)",
    kinds.Tanh: "tanhf(v)",
    kinds.Sigmoid: LOGISTIC,
    kinds.Exponential: "expf(v)",
    kinds.Softplus: "fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v)))",
    kinds.LogSigmoid: "fminf(v, 0.0f) - log1pf(expf(-fabsf(v)))",
    kinds.Softsign: "v / (1.0f + fabsf(v))",
    kinds.HardSigmoid: "fminf(fmaxf(v + 3.0f, 0.0f), 6.0f) / 6.0f",
    kinds.HardSwish: "v * (fminf(fmaxf(v + 3.0f, 0.0f), 6.0f) / 6.0f)",
    kinds.SiLU: f"v * ({LOGISTIC})",
    kinds.Mish: "v * tanhf(fmaxf(v, 0.0f) + log1pf(expf(-fabsf(v))))",
    kinds.ELU: "v > 0.0f ? v : {alpha} * expm1f(v)",
    kinds.SELU: f"v > 0.0f ? {SCALE}f * v : {SCALE * ALPHA}f * expm1f(v)",
    kinds.LeakyReLU: "v > 0.0f ? v : {slope} * v",
}
FIXED = (kinds.ReLU, kinds.Softplus, kinds.HardSigmoid, kinds.SELU)  # their formulas hold for the usual settings
NOTHING = (
    kinds.Identity, kinds.Flatten, kinds.Reshape, kinds.Dropout, kinds.GaussianNoise, kinds.SpatialDropout,
    kinds.StochasticDepth, kinds.ColorJitter, kinds.Cutout, kinds.RandomCrop, kinds.RandomFlip, kinds.RandomRotation,
    kinds.RandomScaling, kinds.TimeShift,
)  # fmt: skip
AS_ONNX = "write it as ONNX: name the file model.onnx"
WIDE = 12  # numbers on a line of constants


@dataclass
class Source:
    """The parts of a file while it is written, and where each value lies in the memory that all share."""

    constants: list[str] = field(default_factory=list)
    routines: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)  # node -> begin and length in floats
    memory: int = 0
    path: str = ""

    def call(self, routine: str, *arguments: str | int) -> None:
        """Add a call of a routine."""
        self.routines.setdefault(routine, ROUTINES.get(routine, ""))
        self.calls.append(f"    {routine}({', '.join(map(str, arguments))});  /* {self.path} */")

    def array(self, values: np.ndarray, name: str) -> str:
        """Add constants; return their name."""
        flat = np.ravel(values)
        made = f"{identifier(self.path)}_{name}"
        whole = flat.dtype.kind in "iu"
        numbers = [str(int(v)) if whole else number(v) for v in flat]
        lines = [", ".join(numbers[i : i + WIDE]) for i in range(0, len(numbers), WIDE)]
        kind, body = "int" if whole else "float", ",\n    ".join(lines)
        self.constants.append(f"static const {kind} {made}[{len(flat)}] = {{\n    {body}\n}};")
        return made


def number(value: Any) -> str:
    """Return a float32 in C, with all its digits."""
    text = f"{np.float32(value):.9g}"
    return f"{text}{'' if set(text) & set('.e') else '.0'}f"


def identifier(path: str) -> str:
    """Return a path as a name in C."""
    return "n_" + "".join(c if c.isascii() and c.isalnum() else "_" for c in path)


def write(network: Network, variables: Variables, x: Spec, name: str) -> str:
    """Return the C file of a network that reads the column `x` and has one row at a time.

    Raises:  ConfigError for a layer that is not written in C, or a network that reads other columns
    """
    if network.columns != ("x",):
        raise ConfigError(f"reads {', '.join(network.columns)}", where="network", cure="in C it may read x alone")
    specs = {"x": x, **network.specs({"x": x})}
    source, aliases = Source(), {"x": "x"}
    last_use = {aliases_of: i for i, node in enumerate(network) for aliases_of in node.inputs}
    for i, node in enumerate(network):
        source.path = node.name
        inputs = [aliases[reference] for reference in node.inputs]
        if isinstance(node.layer, NOTHING):
            aliases[node.name] = inputs[0]
            last_use[inputs[0]] = max(last_use.get(inputs[0], i), last_use.get(node.name, len(network.nodes)))
            continue
        aliases[node.name] = node.name
        alive = {n for n in source.places if last_use.get(n, len(network.nodes)) >= i}
        _place(source, node.name, math.prod(specs[node.name].shape[1:]), alive)
        weights = {**own_params(variables.params, node), **variables.state.get(node.name, {})}
        arrays = {key: np.asarray(array, np.float32) for key, array in weights.items()}
        read = [_pointer(source, n) for n in inputs]
        _layer(source, node.layer, arrays, read, _pointer(source, node.name), [specs[r] for r in node.inputs],
               specs[node.name])  # fmt: skip
    size = math.prod(specs[network.output].shape[1:])
    result = _pointer(source, aliases[network.output])
    source.calls.append(f"    for (int i = 0; i < {size}; i++)\n        y[i] = {result}[i];")
    return _file(source, name, math.prod(x.shape[1:]), size)


def _place(source: Source, name: str, length: int, alive: set[str]) -> None:
    """Give a value the first room that no value alive takes."""
    begin = 0
    for start, size in sorted(source.places[n] for n in alive):
        if start - begin >= length:
            break
        begin = max(begin, start + size)
    source.places[name] = begin, length
    source.memory = max(source.memory, begin + length)


def _pointer(source: Source, name: str) -> str:
    return "x" if name == "x" else f"(memory + {source.places[name][0]})"


def _layer(s: Source, layer: Any, weights: dict[str, np.ndarray], x: Sequence[str], y: str, inputs: Sequence[Spec],
           output: Spec) -> None:  # fmt: skip
    """Add the call of one layer."""
    shape, size = inputs[0].shape, math.prod(output.shape[1:])
    rows, channels = math.prod(shape[1:-1]), shape[-1]
    bias = s.array(weights["bias"], "bias") if "bias" in weights and not isinstance(layer, kinds.BatchNorm) else "0"
    if type(layer) in FIXED and layer != type(layer)():
        raise ConfigError(f"{layer.kind} with settings is not written in C", where=s.path, cure=AS_ONNX)
    if type(layer) in FORMULAS:
        settings = {n: number(getattr(layer, n)) for n in ("alpha", "slope") if hasattr(layer, n)}
        _each(s, layer.kind + "".join(f"_{identifier(v)}" for v in settings.values()),
              FORMULAS[type(layer)].format(**settings), x[0], y, size)  # fmt: skip
    elif isinstance(layer, kinds.GELU):
        exact = "0.5f * v * (1.0f + erff(0.70710678f * v))"
        near = f"v * (0.5f * tanhf({SLOPE}f * v * (1.0f + {CUBIC}f * v * v)) + 0.5f)"
        _each(s, "gelu_tanh" if layer.approximate else "gelu", near if layer.approximate else exact, x[0], y, size)
    elif isinstance(layer, kinds.Softmax) and layer.axis in (-1, len(shape) - 1):
        s.call("softmax", x[0], y, rows, channels)
    elif isinstance(layer, kinds.PReLU):
        s.call("slopes", x[0], y, s.array(np.broadcast_to(weights["slope"], channels), "slope"), rows, channels)
    elif isinstance(layer, kinds.Dense):
        units = weights["weight"].shape[1]
        s.call("dense", x[0], y, s.array(weights["weight"], "weight"), bias, rows, channels, units)
    elif isinstance(layer, kinds.Conv1D | kinds.Conv2D) and layer.padding_mode == "zeros":
        window = _two_axes(place_window(shape[1:-1], layer.kernel, layer.stride, layer.dilation, layer.padding))
        groups = channels // weights["weight"].shape[-2]
        form = [*window["lengths"], channels, output.shape[-1], *window["outputs"], *window["kernel"],
                *window["stride"], *window["dilation"], *window["before"], groups]  # fmt: skip
        s.call("convolution", x[0], y, s.array(weights["weight"], "weight"), bias, s.array(np.array(form), "form"))
    elif isinstance(layer, kinds.MaxPool | kinds.AveragePool) and len(shape) < 5:
        stride = layer.window if layer.stride is None else layer.stride
        dilation = getattr(layer, "dilation", 1)
        placed = place_window(shape[1:-1], layer.window, stride, dilation, layer.padding, layer.ceil)
        window = _two_axes(placed)
        form = [*window["lengths"], channels, *window["outputs"], *window["kernel"], *window["stride"]]
        if isinstance(layer, kinds.MaxPool):
            s.call("max_pool", x[0], y, s.array(np.array([*form, *window["dilation"], *window["before"]]), "form"))
        elif set(placed.dilation) != {1}:
            raise ConfigError("average_pool with a dilation is not written in C", where=s.path, cure=AS_ONNX)
        else:
            share = s.array(layer.shares(placed).astype(np.float32), "share")
            s.call("average_pool", x[0], y, share, s.array(np.array([*form, *window["before"]]), "form"))
    elif isinstance(layer, kinds.GlobalAveragePool | kinds.GlobalMaxPool) and len(inputs) == 1:
        s.call("average_all" if isinstance(layer, kinds.GlobalAveragePool) else "max_all", x[0], y, rows, channels)
    elif isinstance(layer, kinds.BatchNorm):
        mean, inverse = weights["mean"], 1 / np.sqrt(weights["var"].astype(np.float64) + layer.eps)
        factor = (weights.get("scale", 1.0) * inverse).astype(np.float32)
        arrays = {"mean": mean, "factor": factor, "bias": weights.get("bias", np.zeros_like(mean))}
        s.call("normalise", x[0], y, *(s.array(array, key) for key, array in arrays.items()), rows, channels)
    elif isinstance(layer, kinds.Add | kinds.Multiply) and len(x) > 1 and len({i.shape for i in inputs}) == 1:
        name, sign = ("add", "+") if isinstance(layer, kinds.Add) else ("multiply", "*")
        s.routines.setdefault(name, PAIR.format(name=name, formula=f"x[i] {sign} z[i]"))
        s.call(name, x[0], x[1], y, size)
        for other in x[2:]:
            s.call(name, y, other, y, size)
    elif isinstance(layer, kinds.Concat) and layer.axis in (-1, len(shape) - 1):
        first = 0
        for pointer, each in zip(x, inputs, strict=True):
            s.call("side_by_side", pointer, y, rows, each.shape[-1], output.shape[-1], first)
            first += each.shape[-1]
    else:
        raise ConfigError(f"{layer.kind} is not written in C", where=s.path, cure=AS_ONNX)


def _each(s: Source, name: str, formula: str, x: str, y: str, size: int) -> None:
    s.routines.setdefault(f"each_{name}", EACH.format(name=f"each_{name}", formula=formula))
    s.call(f"each_{name}", x, y, size)


def _two_axes(window: Any) -> dict[str, list[int]]:
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


def _file(source: Source, name: str, inputs: int, outputs: int) -> str:
    routines, constants = "\n".join(source.routines.values()), "\n".join(source.constants)
    calls, name = "\n".join(source.calls), "".join(c for c in name if c not in "*/\\?\n\r")  # it stands in a comment
    return f"""\
/* {name}: a network as C99, written by retrograd. Memory: {4 * source.memory} bytes. */
#include <math.h>

#define NET_INPUTS {inputs}
#define NET_OUTPUTS {outputs}

void net(const float *x, float *y);

static float memory[{max(source.memory, 1)}];

{constants}

{routines}
/* x: NET_INPUTS numbers as the network reads them; y: its NET_OUTPUTS outputs. */
void net(const float *x, float *y)
{{
{calls}
}}
"""
