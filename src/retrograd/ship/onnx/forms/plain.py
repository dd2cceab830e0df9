"""Dense layers and embeddings, what joins and reshapes, and what does nothing outside of training."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.attention.positions import waves
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.Dense)
def dense(g: Graph, layer: kinds.Dense, weights: Weights, x: Value) -> str:
    """y = x W + b: one node of a matrix, two of anything larger."""
    weight = g.constant(weights["weight"], "weight")
    bias = g.constant(weights["bias"], "bias") if "bias" in weights else None
    if len(x.shape) == 2:
        return g.op("Gemm", x, weight, bias)
    product = g.op("MatMul", x, weight)
    return product if bias is None else g.op("Add", product, bias)


@to_onnx.register(kinds.Embedding)
def embedding(g: Graph, layer: kinds.Embedding, weights: Weights, ids: Value) -> str:
    """y = W[ids]."""
    return g.op("Gather", g.constant(weights["weight"], "weight"), ids, axis=0)


@to_onnx.register(kinds.Add)
def add(g: Graph, layer: kinds.Add, weights: Weights, *inputs: Value) -> Value:
    """y = x1 + x2 + ..."""
    return _joined(g, "Add", inputs)


@to_onnx.register(kinds.Multiply)
def multiply(g: Graph, layer: kinds.Multiply, weights: Weights, *inputs: Value) -> Value:
    """y = x1 x2 ..."""
    return _joined(g, "Mul", inputs)


@to_onnx.register(kinds.Concat)
def concat(g: Graph, layer: kinds.Concat, weights: Weights, *inputs: Value) -> Value:
    """y = [x1, x2, ...] along an axis."""
    first, names = _one_way(g, inputs)
    return replace(inputs[0], first=first,
                   name=g.op("Concat", *names, axis=replace(inputs[0], first=first).along(layer.axis)))  # fmt: skip


@to_onnx.register(kinds.Flatten)
def flatten(g: Graph, layer: kinds.Flatten, weights: Weights, x: Value) -> Value | str:
    """All axes after the batch as one."""
    return x if len(x.shape) == 2 else g.reshape(x, 0, math.prod(x.shape[1:]))


@to_onnx.register(kinds.Reshape)
def reshape(g: Graph, layer: kinds.Reshape, weights: Weights, x: Value) -> str:
    """Other axes after the batch."""
    known = math.prod(n for n in layer.shape if n != -1)
    return g.reshape(x, 0, *(math.prod(x.shape[1:]) // known if n == -1 else n for n in layer.shape))


@to_onnx.register(
    kinds.Identity, kinds.Dropout, kinds.GaussianNoise, kinds.SpatialDropout, kinds.StochasticDepth, kinds.ColorJitter,
    kinds.Cutout, kinds.RandomCrop, kinds.RandomFlip, kinds.RandomRotation, kinds.RandomScaling, kinds.TimeShift,
    kinds.TokenDropout,
)  # fmt: skip
def nothing(g: Graph, layer: Any, weights: Weights, x: Value) -> Value:
    """What acts in training alone has no node."""
    return x


def _one_way(g: Graph, inputs: tuple[Value, ...]) -> tuple[bool, list[str]]:
    """Return whether all inputs are read with the channels first, and their names then."""
    first = all(x.first for x in inputs)
    return first, [g.channels_first(x) if first else g.plain(x) for x in inputs]


def _joined(g: Graph, kind: str, inputs: tuple[Value, ...]) -> Value:
    first, names = _one_way(g, inputs)
    return replace(inputs[0], first=first, name=functools.reduce(lambda a, b: g.op(kind, a, b), names))


@to_onnx.register(kinds.Positions)
def positions(g: Graph, layer: kinds.Positions, weights: Weights, x: Value) -> str:
    """y(t) = x(t) + p(t)."""
    from_place = waves(*x.shape[1:])
    return g.op("Add", x, g.constant(from_place.astype(np.float32), "waves"))


@to_onnx.register(kinds.LearnedPositions)
def learned_positions(g: Graph, layer: kinds.LearnedPositions, weights: Weights, x: Value) -> str:
    """y(t) = x(t) + W(t)."""
    return g.op("Add", x, g.constant(weights["weight"][: x.shape[1]], "weight"))
