"""Dense layers, embeddings, positions, and layers without effect outside training."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.attention.positions import waves
from retrograd.ship.forms import ONLY_IN_TRAINING, THEIR_SETTINGS
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx


@to_onnx.register(kinds.Dense, settings="units activation")
def dense(g: Graph, layer: kinds.Dense, weights: Weights, x: Value) -> str:
    """y = x W + b: one node for a matrix, two for more axes."""
    weight = g.constant(weights["weight"], "weight")
    bias = g.constant(weights["bias"], "bias") if "bias" in weights else None
    if len(x.shape) == 2:
        return g.op("Gemm", x, weight, bias)
    product = g.op("MatMul", x, weight)
    return product if bias is None else g.op("Add", product, bias)


@to_onnx.register(kinds.Embedding, settings="units vocabulary padding")
def embedding(g: Graph, layer: kinds.Embedding, weights: Weights, ids: Value) -> str:
    """y = W[ids]."""
    return g.op("Gather", g.constant(weights["weight"], "weight"), ids, axis=0)


@to_onnx.register(*ONLY_IN_TRAINING, settings=THEIR_SETTINGS)
def nothing(g: Graph, layer: Any, weights: Weights, x: Value) -> Value:
    """A layer that acts only in training has no node."""
    return x


@to_onnx.register(kinds.Positions, settings="")
def positions(g: Graph, layer: kinds.Positions, weights: Weights, x: Value) -> str:
    """y(t) = x(t) + p(t)."""
    from_place = waves(*x.shape[1:])
    return g.op("Add", x, g.constant(from_place.astype(np.float32), "waves"))


@to_onnx.register(kinds.LearnedPositions, settings="length")
def learned_positions(g: Graph, layer: kinds.LearnedPositions, weights: Weights, x: Value) -> str:
    """y(t) = x(t) + W(t)."""
    return g.op("Add", x, g.constant(weights["weight"][: x.shape[1]], "weight"))


@to_onnx.register(kinds.Bilinear, settings="units activation")
def bilinear(g: Graph, layer: kinds.Bilinear, weights: Weights, x1: Value, x2: Value) -> str:
    """y_k = Σ x1_i W_ijk x2_j + b: a product with the first input, whose result is multiplied by the second."""
    weight = weights["weight"]
    first, second, units = weight.shape
    by_first = g.op("MatMul", x1, g.constant(weight.reshape(first, -1), "weight"))
    matrices = g.reshape(by_first, *(0,) * (len(x1.shape) - 1), second, units)
    y = g.op("Squeeze", g.op("MatMul", g.op("Unsqueeze", x2, np.array([-2])), matrices), np.array([-2]))
    return g.op("Add", y, g.constant(weights["bias"], "bias")) if "bias" in weights else y
