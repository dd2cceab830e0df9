"""Layers that merge several inputs."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.merging.dot import EPS
from retrograd.network.layers.merging.merge import Merge, align
from retrograd.ship.onnx.forms.reducing import unit
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

BY_TWO = {
    kinds.Add: "Add", kinds.Average: "Add", kinds.Subtract: "Sub", kinds.Multiply: "Mul", kinds.Maximum: "Max",
    kinds.Minimum: "Min",
}  # fmt: skip


@to_onnx.register(*BY_TWO, settings="broadcast")
def merge(g: Graph, layer: Merge, weights: Weights, *inputs: Value) -> Value:
    """One operator applied to two inputs at a time, in their layout, or with channels last if they are broadcast."""
    first, names = _one_way(g, inputs)
    if layer.broadcast and len({len(x.shape) for x in inputs}) > 1:
        first, shapes = False, align(tuple(x.shape for x in inputs))
        names = [g.reshape(x, 0, *shape[1:]) for x, shape in zip(inputs, shapes, strict=True)]
    y = functools.reduce(lambda a, b: g.op(BY_TWO[type(layer)], a, b), names)
    if isinstance(layer, kinds.Average):
        y = g.op("Div", y, float(len(inputs)))
    return Value(y, first=first)


@to_onnx.register(kinds.Concat, settings="axis")
def concat(g: Graph, layer: kinds.Concat, weights: Weights, *inputs: Value) -> Value:
    """y = [x1, x2, ...] along an axis."""
    first, names = _one_way(g, inputs)
    like = replace(inputs[0], first=first)
    return replace(like, name=g.op("Concat", *names, axis=like.along(layer.axis)))


@to_onnx.register(kinds.CosineSimilarity, settings="axis eps keepdim")
def cosine_similarity(g: Graph, layer: kinds.CosineSimilarity, weights: Weights, x1: Value, x2: Value) -> str:
    """y = Σ u v of the inputs, normalised to length 1."""
    axes = np.array([layer.axis])
    u, v = (unit(g, g.plain(x), axes, layer.eps) for x in (x1, x2))
    return g.op("ReduceSum", g.op("Mul", u, v), axes, keepdims=int(layer.keepdim))


@to_onnx.register(kinds.Dot, settings="axes normalize")
def dot(g: Graph, layer: kinds.Dot, weights: Weights, x1: Value, x2: Value) -> str:
    """A matrix product whose rows are all positions of one input and of the other."""
    pair = (layer.axes, layer.axes) if isinstance(layer.axes, int) else layer.axes
    rows, rests = [], []
    for x, axis in zip((x1, x2), pair, strict=True):
        name, axes = g.plain(x), len(x.shape)
        name = unit(g, name, np.array([axis]), EPS) if layer.normalize else name
        perm = [i for i in range(axes) if i != axis % axes] + [axis % axes]
        rows.append(g.reshape(g.op("Transpose", name, perm=perm), 0, -1, x.shape[axis]))
        rests += [x.shape[i] for i in perm[1:-1]]
    product = g.op("MatMul", rows[0], g.op("Transpose", rows[1], perm=[0, 2, 1]))
    return g.reshape(product, 0, *(rests or [1]))


def _one_way(g: Graph, inputs: tuple[Value, ...]) -> tuple[bool, list[str]]:
    """Return whether all inputs are read with channels first, and their names in that layout."""
    first = all(x.first for x in inputs)
    return first, [g.channels_first(x) if first else g.plain(x) for x in inputs]
