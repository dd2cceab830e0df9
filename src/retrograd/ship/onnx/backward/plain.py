"""Backward passes of dense layers, embeddings, positions, reshaping, and layers without effect outside training."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.ship.forms import ONLY_IN_TRAINING, THEIR_SETTINGS
from retrograd.ship.onnx.backward.registry import Deltas, Names, Seen, Taken, over_rows, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value


def dense_forward(g: Graph, layer: kinds.Dense, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """y = x W + b."""
    (x,) = inputs
    bias = weights.get("bias")
    if len(x.shape) == 2:
        return Taken(g.op("Gemm", x, weights["weight"], bias))
    product = g.op("MatMul", x, weights["weight"])
    return Taken(product if bias is None else g.op("Add", product, bias))


@to_onnx_backward.register(kinds.Dense, settings="units activation", forward=dense_forward)
def dense(g: Graph, seen: Seen) -> Deltas:
    """dx = dy Wᵀ, dW = xᵀ dy, db = Σ dy."""
    (x,), dy = seen.inputs, seen.dy
    features = x.shape[-1]
    grads, dx = {}, None
    x_rows, dy_rows = (g.plain(value) if len(value.shape) == 2 else g.reshape(value, -1, value.shape[-1])
                       for value in (x, dy))  # fmt: skip
    if "weight" in seen.trained:
        grads["weight"] = g.op("Gemm", x_rows, dy_rows, transA=1)
    if "bias" in seen.trained:
        grads["bias"] = g.op("ReduceSum", dy_rows, np.array([0]), keepdims=0)
    if seen.wanted[0]:
        flat = g.op("Gemm", dy_rows, seen.weights["weight"], transB=1)
        dx = flat if len(x.shape) == 2 else g.reshape(flat, -1, *x.shape[1:-1], features)
    return Deltas((dx,), grads)


def embedding_forward(g: Graph, layer: kinds.Embedding, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """y = W[ids]."""
    return Taken(g.op("Gather", weights["weight"], inputs[0], axis=0))


@to_onnx_backward.register(kinds.Embedding, settings="units vocabulary padding", forward=embedding_forward)
def embedding(g: Graph, seen: Seen) -> Deltas:
    """dW[id] = Σ dy over the positions of the id; padding is not trained."""
    ids, weight, width = seen.inputs[0], seen.weights["weight"], seen.dy.shape[-1]
    zeros = g.op("Mul", weight, 0.0)
    places = g.op("Cast", g.reshape(ids, -1, 1), to=7)  # int64
    dweight = g.op("ScatterND", zeros, places, g.reshape(seen.dy, -1, width), reduction="add")
    if seen.layer.padding is not None:
        counts = np.ones((int(seen.layer.vocabulary), 1), np.float32)
        counts[seen.layer.padding] = 0
        dweight = g.op("Mul", dweight, counts)
    return Deltas((None,), {"weight": dweight})


def learned_positions_forward(g: Graph, layer: Any, weights: Names, inputs: tuple[Value, ...]) -> Taken:
    """y(t) = x(t) + W(t)."""
    rows = g.op("Slice", weights["weight"], np.array([0]), np.array([inputs[0].shape[1]]), np.array([0]))
    return Taken(g.op("Add", inputs[0], rows))


@to_onnx_backward.register(kinds.LearnedPositions, settings="length", forward=learned_positions_forward)
def learned_positions(g: Graph, seen: Seen) -> Deltas:
    """dx = dy, dW(t) = Σ dy(t) over the batch; rows beyond the sequence have no gradient."""
    time, width = seen.dy.shape[1:]
    summed = over_rows(g, seen.dy, (time, width))
    rows = g.op("Slice", seen.weights["weight"], np.array([time]), np.array([2**31]), np.array([0]))
    return Deltas((seen.dy,), {"weight": g.op("Concat", summed, g.op("Mul", rows, 0.0), axis=0)})


@to_onnx_backward.register(*ONLY_IN_TRAINING, kinds.Positions, settings=THEIR_SETTINGS)
def nothing(g: Graph, seen: Seen) -> Deltas:
    """dx = dy: what acts in training alone does nothing here."""
    return Deltas((seen.dy,))


@to_onnx_backward.register(kinds.Flatten, kinds.Reshape, settings="shape")
def reshape(g: Graph, seen: Seen) -> Deltas:
    """dx = dy in the shape of x."""
    (x,) = seen.inputs
    return Deltas((seen.dy if x.shape == seen.dy.shape else g.reshape(seen.dy, -1, *x.shape[1:]),))


@to_onnx_backward.register(kinds.Permute, settings="axes")
def permute(g: Graph, seen: Seen) -> Deltas:
    """dx = dy with its axes where they were."""
    return Deltas((g.op("Transpose", seen.dy, perm=[int(i) for i in np.argsort([0, *seen.layer.axes])]),))
