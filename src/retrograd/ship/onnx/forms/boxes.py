"""Boxes, as passed between the stages of a detector."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.boxes.best_boxes import FREE, SUPPRESSED, TAKEN
from retrograd.network.layers.boxes.geometry import LEAST_SIDE, MOST_STRETCH
from retrograd.ship.onnx.graph import Graph, Value, body_of
from retrograd.ship.onnx.registry import Weights, to_onnx

LAST = np.array([-1])


@to_onnx.register(kinds.CellBoxes, settings="")
def cell_boxes(g: Graph, layer: kinds.CellBoxes, weights: Weights, x: Value) -> str:
    """Edges around (position within the cell + cell) / cells."""
    down, across = x.shape[1:3]
    cell = np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1).astype(np.float32)
    place, side = _halves(g, x)
    middle = g.op("Div", g.op("Add", place, cell), np.array([across, down], np.float32))
    return g.reshape(_around(g, middle, side), 0, -1, 4)


@to_onnx.register(kinds.AnchorBoxes, settings="sizes ratios")
def anchor_boxes(g: Graph, layer: kinds.AnchorBoxes, weights: Weights, x: Value) -> str:
    """A constant, repeated for the rows of x."""
    boxes = layer.of_map(*x.shape[1:3])[None].astype(np.float32)
    rows = g.op("Shape", g.plain(x), start=0, end=1)
    return g.op("Expand", boxes, g.op("Concat", rows, np.array([1, 1]), axis=0))


@to_onnx.register(kinds.ShiftBoxes, settings="")
def shift_boxes(g: Graph, layer: kinds.ShiftBoxes, weights: Weights, boxes: Value, shifts: Value) -> str:
    """c' = c + t s, s' = s exp(t), clipped to the image."""
    low, high = _halves(g, boxes)
    move, stretch = _halves(g, shifts)
    side = g.op("Sub", high, low)
    middle = g.op("Add", g.op("Mul", g.op("Add", low, high), 0.5), g.op("Mul", move, side))
    return g.op(
        "Clip", _around(g, middle, g.op("Mul", side, g.op("Exp", g.op("Min", stretch, MOST_STRETCH)))), 0.0, 1.0
    )


@to_onnx.register(kinds.BestBoxes, settings="count overlap")
def best_boxes(g: Graph, layer: kinds.BestBoxes, weights: Weights, scores: Value, boxes: Value, *truth: Value) -> str:
    """A loop over the boxes to choose, as ONNX's NonMaxSuppression returns fewer if few remain."""
    n = boxes.shape[1]
    order = g.ops("TopK", 2, g.reshape(scores, 0, -1), np.array([n]), axis=-1, largest=1, sorted=1)[1]
    ordered = g.op("GatherND", boxes, g.op("Unsqueeze", order, LAST), batch_dims=1)
    free = g.op("Cast", g.op("Mul", order, np.int64(FREE)), to=1)
    body = Graph(g.path, outer=g)
    turn, more, status = (body.free(f"{g.path}/{name}") for name in ("turn", "more", "status"))
    first = body.op("ArgMin", status, axis=-1, keepdims=1)
    best = body.op("GatherND", ordered, body.op("Unsqueeze", first, LAST), batch_dims=1)
    near = body.op("Greater", _overlap(body, best, ordered), float(layer.overlap))
    after = body.op("Max", status, body.op("Mul", body.op("Cast", near, to=1), float(SUPPRESSED)))
    after = body.op("Where", body.op("Equal", np.arange(n, dtype=np.int64), first), float(TAKEN), after)
    ends = [body.op("Identity", more), after, body.op("Squeeze", best, np.array([1]))]
    step = body_of(
        body,
        f"{g.path}/choose",
        [(turn, "int64", 0), (more, "bool", 0), (status, "float32", 2)],
        list(zip(ends, ("bool", "float32", "float32"), (0, 2, 2), strict=True)),
    )
    boxes_by_turn = g.ops("Loop", 2, np.int64(layer.count), np.array(True), free, body=step)[1]
    return g.op("Transpose", boxes_by_turn, perm=[1, 0, 2])


def _halves(g: Graph, x: Any) -> list[str]:
    """Return the first and the last two numbers of each box."""
    return g.ops("Split", 2, x, np.array([2, 2]), axis=-1)


def _around(g: Graph, middle: str, side: str) -> str:
    """Return boxes with given centres and sides."""
    half = g.op("Mul", side, 0.5)
    return g.op("Concat", g.op("Sub", middle, half), g.op("Add", middle, half), axis=-1)


def _overlap(g: Graph, box: str, others: str) -> str:
    """Return intersection over union of boxes that broadcast."""
    (low, high), (other_low, other_high) = _halves(g, box), _halves(g, others)
    sides = g.op("Sub", g.op("Min", high, other_high), g.op("Max", low, other_low))
    shared = g.op("ReduceProd", g.op("Relu", sides), LAST, keepdims=0)
    areas = [g.op("ReduceProd", g.op("Sub", b, a), LAST, keepdims=0) for a, b in ((low, high), (other_low, other_high))]
    union = g.op("Sub", g.op("Add", *areas), shared)
    return g.op("Div", shared, g.op("Max", union, LEAST_SIDE**2))
