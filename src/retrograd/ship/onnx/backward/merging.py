"""Backward passes of layers that merge several inputs."""

from __future__ import annotations

import numpy as np

from retrograd.network import layers as kinds
from retrograd.ship.onnx.backward.registry import Deltas, Seen, standing_as, to_onnx_backward
from retrograd.ship.onnx.graph import Graph, Value


@to_onnx_backward.register(kinds.Add, kinds.Average, kinds.Subtract, kinds.Multiply, settings="")
def merge(g: Graph, seen: Seen) -> Deltas:
    """dx = dy; divided by the number of inputs; -dy for subtracted inputs; times the other inputs."""
    layer, dy, xs = seen.layer, seen.dy, seen.inputs
    if isinstance(layer, kinds.Average):
        return Deltas((g.each("Div", dy, float(len(xs))),) * len(xs))
    if isinstance(layer, kinds.Subtract):
        return Deltas((dy, *(g.each("Neg", dy),) * (len(xs) - 1)))
    if isinstance(layer, kinds.Add):
        return Deltas((dy,) * len(xs))
    deltas: list[Value | None] = []
    for i, wanted in enumerate(seen.wanted):
        delta = dy
        for other in xs[:i] + xs[i + 1 :]:
            delta = g.each("Mul", delta, standing_as(g, other, dy))
        deltas.append(delta if wanted else None)
    return Deltas(tuple(deltas))


@to_onnx_backward.register(kinds.Concat, settings="axis")
def concat(g: Graph, seen: Seen) -> Deltas:
    """Each input's part of dy."""
    axis = seen.layer.axis % len(seen.dy.shape)
    widths = np.array([x.shape[axis] for x in seen.inputs])
    return Deltas(tuple(g.ops("Split", len(widths), seen.dy, widths, axis=axis)))
