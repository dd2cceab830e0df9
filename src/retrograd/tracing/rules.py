"""The arithmetic of small layers written out: every number as its sums and products.

A layer's rules are registered by its class: `@forward_lines.register(Dense)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import singledispatch
from itertools import product

import numpy as np

from retrograd.network.layer import Activation, Layer
from retrograd.network.layers import (
    Add,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Identity,
    LogSoftmax,
    Multiply,
    ReLU,
    Reshape,
    Sigmoid,
    Softmax,
    SpatialDropout,
    Tanh,
)
from retrograd.network.layers.shared.axes import axes_of
from retrograd.present.exact import Figures
from retrograd.tracing.lines import Line, Lines, Term, delta_key, entry, grad_key, indices, is_small, place
from retrograd.tracing.numbers import NodeNumbers


@singledispatch
def forward_lines(layer: Layer, node: NodeNumbers, f: Figures) -> Lines:
    """Return the layer's output, number by number; empty without a rule."""
    return []


@singledispatch
def backward_lines(layer: Layer, node: NodeNumbers, f: Figures) -> list[Lines]:
    """Return the delta of each input, number by number; empty without a rule."""
    return []


@singledispatch
def gradient_lines(layer: Layer, node: NodeNumbers, f: Figures) -> dict[str, Lines]:
    """Return the gradient of each parameter, number by number; empty without a rule."""
    return {}


@forward_lines.register(Dense)
def _(layer: Dense, node: NodeNumbers, f: Figures) -> Lines:
    (x,), y, weight, bias = node.inputs, node.output, node.params["weight"], node.params.get("bias")
    if not is_small(y, len(weight)):
        return []
    lines = []
    for index in indices(y):
        *row, j = index
        terms: list[tuple[float, ...]] = list(zip(x[tuple(row)], weight[:, j], strict=True))
        terms += [] if bias is None else [(bias[j],)]
        lines.append(_output(node, index, f.sum(terms)))
    return lines


@backward_lines.register(Dense)
def _(layer: Dense, node: NodeNumbers, f: Figures) -> list[Lines]:
    (x,), dy, weight = node.inputs, node.delta, node.params["weight"]
    if not is_small(x, weight.shape[1]):
        return []
    lines = []
    for index in indices(x):
        *row, i = index
        factors = list(zip(dy[tuple(row)], weight[i], strict=True))
        terms = tuple(
            Term(((entry(_short(node, "weight"), (i, j)), float(w)),), delta_key(node.path, (*row, j)))
            for j, (_, w) in enumerate(factors)
        )
        lines.append(_handed_back(node, 0, index, f.sum(factors), terms))
    return [lines]


@gradient_lines.register(Dense)
def _(layer: Dense, node: NodeNumbers, f: Figures) -> dict[str, Lines]:
    (x,), dy, lines = node.inputs, node.delta, {}
    rows = list(np.ndindex(*x.shape[:-1]))
    grads = node.grads
    if is_small(grads["weight"], len(rows)):
        lines["weight"] = [
            Line(
                grad_key(f"{node.path}/weight", (i, j)),
                entry("weight", (i, j)),
                f.sum([(x[(*row, i)], dy[(*row, j)]) for row in rows]),
                float(grads["weight"][i, j]),
                tuple(
                    Term(((place(node.node.inputs[0], (*row, i), x.shape), float(x[(*row, i)])),),
                         delta_key(node.path, (*row, j))) for row in rows
                ),
            )
            for i, j in indices(grads["weight"])
        ]  # fmt: skip
    if "bias" in grads and is_small(grads["bias"], len(rows)):
        lines["bias"] = [
            Line(
                grad_key(f"{node.path}/bias", (j,)),
                entry("bias", (j,)),
                f.sum([(dy[(*row, j)],) for row in rows]),
                float(grads["bias"][j]),
                tuple(Term((), delta_key(node.path, (*row, j))) for row in rows),
            )
            for (j,) in indices(grads["bias"])
        ]
    return lines


@forward_lines.register(Activation)
def _(layer: Activation, node: NodeNumbers, f: Figures) -> Lines:
    if not layer.by_element:
        return []
    write = next((write for plain, write in FUNCTIONS if layer == plain), None)
    write = write or (lambda f, x: f"{layer.kind}({f.number(x)})")
    return _each(node, lambda index: write(f, node.inputs[0][index]))


@backward_lines.register(Activation)
@backward_lines.register(Dropout)
@backward_lines.register(GaussianNoise)
@backward_lines.register(Identity)
@backward_lines.register(SpatialDropout)
def _(layer: Layer, node: NodeNumbers, f: Figures) -> list[Lines]:
    slope, dy = node.slope, node.delta
    if slope is None or not is_small(dy) or not np.allclose(node.edges[0], dy * slope, rtol=1e-5):
        return []
    write: Slope = SLOPES.get(type(layer), lambda f, y, s: f.factor(s))

    def line(index: tuple[int, ...]) -> Line:
        text = f"{f.number(dy[index])}*{write(f, node.output[index], slope[index])}"
        term = Term(((f"slope of {layer.kind}", float(slope[index])),), delta_key(node.path, index))
        return _handed_back(node, 0, index, text, (term,))

    return [[line(index) for index in indices(dy)]]


@forward_lines.register(Dropout)
@forward_lines.register(SpatialDropout)
def _(layer: Layer, node: NodeNumbers, f: Figures) -> Lines:
    x, y = node.inputs[0], node.output
    slope = node.slope if node.slope is not None else np.where(x == 0, 1, y / np.where(x == 0, 1, x))
    return _each(node, lambda index: f.product([x[index], slope[index]]))


@forward_lines.register(GaussianNoise)
def _(layer: GaussianNoise, node: NodeNumbers, f: Figures) -> Lines:
    x = node.inputs[0]
    return _each(node, lambda index: f.sum([(x[index],), (node.output[index] - x[index],)]))


@forward_lines.register(Identity)
def _(layer: Identity, node: NodeNumbers, f: Figures) -> Lines:
    return _each(node, lambda index: f.number(node.inputs[0][index]))


@forward_lines.register(Softmax)
@forward_lines.register(LogSoftmax)
def _(layer: Softmax | LogSoftmax, node: NodeNumbers, f: Figures) -> Lines:
    x, is_log = node.inputs[0], isinstance(layer, LogSoftmax)
    summed = Summed(layer, x)

    def text(index: tuple[int, ...]) -> str:
        below = " + ".join(f"exp({f.number(x[k])})" for k in summed.group(index))
        value = f.number(x[index])
        return f"{value} - log({below})" if is_log else f"exp({value}) / ({below})"

    return _each(node, text, summed.count)


@backward_lines.register(Softmax)
@backward_lines.register(LogSoftmax)
def _(layer: Softmax | LogSoftmax, node: NodeNumbers, f: Figures) -> list[Lines]:
    y, dy, is_log = node.output, node.delta, isinstance(layer, LogSoftmax)
    summed = Summed(layer, y)
    if not is_small(y, summed.count):
        return []

    def line(index: tuple[int, ...]) -> Line:
        group = summed.group(index)
        here_y, dy_here, here = f.number(y[index]), f.number(dy[index]), summed.place(index)
        if is_log:
            slopes = [float((k == index) - np.exp(y[index])) for k in group]
            text = f"{dy_here} - exp({here_y})*({f.sum([(dy[k],) for k in group])})"
        else:
            slopes = [float(y[k] * ((k == index) - y[index])) for k in group]
            text = f"{here_y}*({dy_here} - ({f.sum([(dy[k], y[k]) for k in group])}))"
        terms = tuple(
            Term(((f"slope of {layer.kind}{summed.place(k)} by {here}", slope),), delta_key(node.path, k))
            for k, slope in zip(group, slopes, strict=True)
        )
        return _handed_back(node, 0, index, text, terms)

    return [[line(index) for index in indices(y)]]


@forward_lines.register(Add)
def _(layer: Add, node: NodeNumbers, f: Figures) -> Lines:
    return _each(node, lambda index: f.sum([(x[index],) for x in _alike(node)]), len(node.inputs))


@forward_lines.register(Multiply)
def _(layer: Multiply, node: NodeNumbers, f: Figures) -> Lines:
    return _each(node, lambda index: f.product([x[index] for x in _alike(node)]), len(node.inputs))


@backward_lines.register(Add)
def _(layer: Add, node: NodeNumbers, f: Figures) -> list[Lines]:
    dy = node.delta
    if not is_small(dy) or any(x.shape != dy.shape for x in node.inputs):
        return []
    return [
        [_handed_back(node, i, index, f.number(dy[index]), (Term((), delta_key(node.path, index)),))
         for index in indices(dy)] for i in range(len(node.inputs))
    ]  # fmt: skip


@backward_lines.register(Multiply)
def _(layer: Multiply, node: NodeNumbers, f: Figures) -> list[Lines]:
    dy = node.delta
    if not is_small(dy) or any(x.shape != dy.shape for x in node.inputs):
        return []

    def line(i: int, index: tuple[int, ...]) -> Line:
        others = [
            (place(reference, index, x.shape), float(x[index]))
            for k, (reference, x) in enumerate(zip(node.node.inputs, node.inputs, strict=True))
            if k != i
        ]
        text = f.product([dy[index], *(value for _, value in others)])
        return _handed_back(node, i, index, text, (Term(tuple(others), delta_key(node.path, index)),))

    return [[line(i, index) for index in indices(dy)] for i in range(len(node.inputs))]


@backward_lines.register(Flatten)
@backward_lines.register(Reshape)
def _(layer: Layer, node: NodeNumbers, f: Figures) -> list[Lines]:
    x, dy = node.inputs[0], node.delta
    if not is_small(dy):
        return []
    flat = dy.reshape(-1)
    places = list(indices(dy))
    return [
        [_handed_back(node, 0, index, f.number(flat[k]), (Term((), delta_key(node.path, places[k])),))
         for k, index in enumerate(indices(x))]
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------- what they share

Function = Callable[[Figures, float], str]
Slope = Callable[[Figures, float, float], str]
FUNCTIONS: Sequence[tuple[Layer, Function]] = (  # compared, not looked up: a user's layer may have no hash
    (Sigmoid(), lambda f, x: f"1 / (1 + exp({f.number(-x)}))"),
    (ReLU(), lambda f, x: f"max({f.number(x)}, 0)"),
)
SLOPES: Mapping[type, Slope] = {
    Sigmoid: lambda f, y, s: f"{f.number(y)}*(1 - {f.number(y)})",
    Tanh: lambda f, y, s: f"(1 - {f.factor(y)}²)",
}


class Summed:
    """The elements over which a softmax sums: those that differ only along its axes."""

    def __init__(self, layer: Softmax | LogSoftmax, x: np.ndarray) -> None:
        self.shape, self.axes = x.shape, axes_of(x, layer.axis)
        self.count = math.prod(x.shape[axis] for axis in self.axes)

    def group(self, index: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the indices of the elements in the same sum as this one, itself included."""
        lengths = enumerate(self.shape)
        return list(product(*(range(n) if axis in self.axes else (index[axis],) for axis, n in lengths)))

    def place(self, index: tuple[int, ...]) -> str:
        """Return an element's index within its sum, such as `[2]`."""
        return f"[{', '.join(str(index[axis]) for axis in sorted(self.axes))}]"


def _output(node: NodeNumbers, index: tuple[int, ...], text: str) -> Line:
    name = place(node.path, index, node.output.shape)
    return Line(f"output:{entry(node.path, index)}", name, text, float(node.output[index]))


def _each(node: NodeNumbers, text: Callable[[tuple[int, ...]], str], terms: int = 1) -> Lines:
    if not is_small(node.output, terms):
        return []
    return [_output(node, index, text(index)) for index in indices(node.output)]


def _handed_back(node: NodeNumbers, which: int, index: tuple[int, ...], text: str, terms: tuple[Term, ...]) -> Line:
    reference, values = node.node.inputs[which], node.edges[which]
    return Line(delta_key(reference, index), place(reference, index, values.shape), text, float(values[index]), terms)


def _alike(node: NodeNumbers) -> Iterator[np.ndarray]:
    axes = node.output.ndim  # an input lacks axes after the batch
    return (np.broadcast_to(x.reshape(*x.shape[:1], *(1,) * (axes - x.ndim), *x.shape[1:]), node.output.shape)
            for x in node.inputs)  # fmt: skip


def _short(node: NodeNumbers, name: str) -> str:
    return f"{node.path}/{name}"
