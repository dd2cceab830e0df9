"""Attention in several heads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.attention.multi_head_attention import FEEDS, UNNAMED
from retrograd.network.layers.attention.rotary import SLOWEST
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

LEAST = np.float32(-3.0e38)  # where nothing may be seen; -infinity everywhere would give NaN


@to_onnx.register(kinds.MultiHeadAttention)
def attention(g: Graph, layer: kinds.MultiHeadAttention, weights: Weights, *arrays: Value) -> str | dict[str, str]:
    """y = softmax(q kᵀ / sqrt(width)) v W_o + b_o; one product for what reads the same input."""
    inputs = dict(zip(layer.reads or UNNAMED[len(arrays)], arrays, strict=True))
    sources = [inputs[name] for name in ("query", "memory", "key", "value") if name in inputs]
    heads = Heads(g, layer, weights, sources)
    scores = g.op("MatMul", heads.query, heads.key)
    if "scores" in inputs:
        scores = g.op("Add", scores, heads.beside(inputs["scores"]))
    scores, visible = heads.masked(scores, inputs.get("mask"))
    shares = g.op("Softmax", scores, axis=-1)
    if visible is not None:  # a query that may see nothing gets zeros
        shares = g.op("Where", visible, shares, np.float32(0))
    y = g.op("MatMul", shares, heads.value)
    axes = len(heads.lead) + 3
    y = g.reshape(g.op("Transpose", y, perm=[0, axes - 2, *range(1, axes - 2), axes - 1]), 0, 0, heads.units)
    y = g.op("MatMul", y, g.constant(weights["output_weight"], "output_weight"))
    if "output_bias" in weights:
        y = g.op("Add", y, g.constant(weights["output_bias"], "output_bias"))
    if layer.output != "all":
        return y
    return {"sequence": y, "weights": g.op("ReduceMean", shares, np.arange(1, axes - 2), keepdims=0)}


class Heads:
    """Queries [batch, *lead, queries, width], keys turned [batch, *lead, width, keys], and values; `lead` is how many
    heads there are, or where they share keys and values, groups of them.
    """

    def __init__(self, g: Graph, layer: kinds.MultiHeadAttention, weights: Weights, sources: list[Value]) -> None:
        self.g, self.layer = g, layer
        self.queries, self.keys = sources[0].shape[1], sources[-1].shape[1]
        self.units = weights["query_weight"].shape[1]
        shared = layer.key_value_heads or layer.heads
        self.lead = (layer.heads,) if shared == layer.heads else (shared, layer.heads // shared)
        self.width = self.units // layer.heads
        projected: dict[str, str] = {}
        for source, roles in zip(sources, FEEDS[UNNAMED[len(sources)]], strict=True):
            projected |= self.project(weights, source, roles)
        query = self.turned(self.cut(projected["query"], self.lead), self.queries)
        self.query = g.op("Mul", query, np.float32(self.width**-0.5))
        alone = (*self.lead[:1], 1)[: len(self.lead)]
        key = self.turned(self.cut(projected["key"], alone), self.keys)
        axes = len(self.lead) + 3
        self.key = g.op("Transpose", key, perm=[*range(axes - 2), axes - 1, axes - 2])
        self.value = self.cut(projected["value"], alone)

    def project(self, weights: Mapping[str, np.ndarray], source: Value, roles: tuple[str, ...]) -> dict[str, str]:
        """Return x W + b for the roles that one source plays."""
        g, widths = self.g, [weights[f"{role}_weight"].shape[1] for role in roles]
        together = np.concatenate([weights[f"{role}_weight"] for role in roles], -1)
        y = g.op("MatMul", source, g.constant(together, f"{'_'.join(roles)}_weight"))
        if f"{roles[0]}_bias" in weights:
            bias = np.concatenate([weights[f"{role}_bias"] for role in roles])
            y = g.op("Add", y, g.constant(bias, f"{'_'.join(roles)}_bias"))
        if len(roles) == 1:
            return {roles[0]: y}
        return dict(zip(roles, g.ops("Split", len(roles), y, np.array(widths), axis=2), strict=True))

    def cut(self, x: str, lead: tuple[int, ...]) -> str:
        """Return [batch, time, units] as heads [batch, *lead, time, width]."""
        apart, axes = self.g.reshape(x, 0, 0, *lead, self.width), len(lead)
        return self.g.op("Transpose", apart, perm=[0, *range(2, 2 + axes), 1, 2 + axes])

    def turned(self, x: str, time: int) -> str:
        """Return heads turned by their position, if they are to be."""
        if not self.layer.rotary:
            return x
        g, half = self.g, self.width // 2
        angle = np.arange(time)[:, None] * SLOWEST ** (-np.arange(half) / half)
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        a, b = g.ops("Split", 2, x, np.array([half, half]), axis=-1)
        first = g.op("Sub", g.op("Mul", a, cos), g.op("Mul", b, sin))
        return g.op("Concat", first, g.op("Add", g.op("Mul", a, sin), g.op("Mul", b, cos)), axis=-1)

    def beside(self, added: Value) -> str:
        """Return what is added to the scores, in their shape."""
        if len(added.shape) == 4:
            return self.g.reshape(added, 0, *self.lead, self.queries, self.keys)
        return self.g.op("Unsqueeze", added, np.arange(1, 1 + len(self.lead)))

    def masked(self, scores: str, mask: Value | None) -> tuple[str, str | None]:
        """Return the scores, the least number where a query may not look, and where it may if that can be nowhere."""
        g = self.g
        past = np.arange(self.queries)[:, None] >= np.arange(self.keys) if self.layer.causal else None
        if mask is None:
            return (scores if past is None else g.op("Where", past, scores, LEAST)), None
        between = np.arange(1, len(self.lead) + (2 if len(mask.shape) == 2 else 1))
        visible = g.op("Unsqueeze", mask, between)
        if past is not None:
            visible = g.op("And", visible, past)
        return g.op("Where", visible, scores, LEAST), visible
