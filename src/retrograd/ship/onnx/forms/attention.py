"""Multi-head attention."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from retrograd.network import layers as kinds
from retrograd.network.layers.attention.head_norm import HeadNorm
from retrograd.network.layers.attention.projections import FEEDS, UNNAMED
from retrograd.ship.onnx.graph import Graph, Value
from retrograd.ship.onnx.registry import Weights, to_onnx

SETTINGS = (
    "heads units causal key_value_heads rotary dropout output reads scale softcap window rotary_base rotary_share "
    "rotary_stretch rotary_slow head_width value_width qk_norm output_bias"
)
LEAST = np.float32(-3.0e38)  # where nothing may be seen; -infinity everywhere would give NaN


@to_onnx.register(kinds.MultiHeadAttention, settings=SETTINGS)
def attention(g: Graph, layer: kinds.MultiHeadAttention, weights: Weights, *arrays: Value) -> str | dict[str, str]:
    """y = softmax(q kᵀ / sqrt(width)) v W_o + b_o; projections of the same input are one product."""
    inputs = dict(zip(layer.reads or UNNAMED[len(arrays)], arrays, strict=True))
    sources = [inputs[name] for name in ("query", "memory", "key", "value") if name in inputs]
    heads = Heads(g, layer, weights, sources)
    scores = g.op("MatMul", heads.query, heads.key)
    if layer.softcap:
        scores = g.op("Mul", g.op("Tanh", g.op("Div", scores, float(layer.softcap))), float(layer.softcap))
    if "scores" in inputs:
        scores = g.op("Add", scores, heads.beside(inputs["scores"]))
    scores, visible = heads.masked(scores, inputs.get("mask"))
    shares = g.op("Softmax", scores, axis=-1)
    if visible is not None:  # a query that may see nothing gets zeros
        shares = g.op("Where", visible, shares, np.float32(0))
    y = g.op("MatMul", shares, heads.value)
    axes = len(heads.lead) + 3
    flat = g.op("Transpose", y, perm=[0, axes - 2, *range(1, axes - 2), axes - 1])
    y = g.reshape(flat, 0, 0, layer.heads * heads.value_width)
    y = g.op("MatMul", y, g.constant(weights["output_weight"], "output_weight"))
    if "output_bias" in weights:
        y = g.op("Add", y, g.constant(weights["output_bias"], "output_bias"))
    if layer.output == "sequence":
        return y
    if layer.output == "heads":
        return {"sequence": y, "weights": g.reshape(shares, 0, layer.heads, heads.queries, heads.keys)}
    return {"sequence": y, "weights": g.op("ReduceMean", shares, np.arange(1, axes - 2), keepdims=0)}


class Heads:
    """Queries [batch, *lead, queries, width], keys turned [batch, *lead, width, keys], and values; `lead` is how many
    heads there are, or where they share keys and values, groups of them.
    """

    def __init__(self, g: Graph, layer: kinds.MultiHeadAttention, weights: Weights, sources: list[Value]) -> None:
        self.g, self.layer = g, layer
        self.queries, self.keys = sources[0].shape[1], sources[-1].shape[1]
        shared = layer.key_value_heads or layer.heads
        self.lead = (layer.heads,) if shared == layer.heads else (shared, layer.heads // shared)
        self.width = weights["query_weight"].shape[1] // layer.heads
        self.value_width = weights["value_weight"].shape[1] // shared
        projected: dict[str, str] = {}
        for source, roles in zip(sources, FEEDS[UNNAMED[len(sources)]], strict=True):
            projected |= self.project(weights, source, roles)
        query = self.normed(self.cut(projected["query"], self.lead, self.width), weights.get("query_scale"))
        scale: np.ndarray | np.float32 = np.float32(layer.scale or self.width**-0.5)
        if layer.qk_norm == "l2":
            scale = weights["cosine_scale"].reshape(*self.lead, 1, 1)
        self.query = g.op("Mul", self.turned(query, self.queries), scale)
        alone = (*self.lead[:1], 1)[: len(self.lead)]
        key = self.normed(self.cut(projected["key"], alone, self.width), weights.get("key_scale"))
        key = self.turned(key, self.keys)
        axes = len(self.lead) + 3
        self.key = g.op("Transpose", key, perm=[*range(axes - 2), axes - 1, axes - 2])
        self.value = self.cut(projected["value"], alone, self.value_width)

    def project(self, weights: Mapping[str, np.ndarray], source: Value, roles: tuple[str, ...]) -> dict[str, str]:
        """Return x W + b for the projections of one source."""
        g, widths = self.g, [weights[f"{role}_weight"].shape[1] for role in roles]
        together = np.concatenate([weights[f"{role}_weight"] for role in roles], -1)
        y = g.op("MatMul", source, g.constant(together, f"{'_'.join(roles)}_weight"))
        if f"{roles[0]}_bias" in weights:
            bias = np.concatenate([weights[f"{role}_bias"] for role in roles])
            y = g.op("Add", y, g.constant(bias, f"{'_'.join(roles)}_bias"))
        if len(roles) == 1:
            return {roles[0]: y}
        return dict(zip(roles, g.ops("Split", len(roles), y, np.array(widths), axis=2), strict=True))

    def cut(self, x: str, lead: tuple[int, ...], width: int) -> str:
        """Return [batch, time, units] as heads [batch, *lead, time, width]."""
        apart, axes = self.g.reshape(x, 0, 0, *lead, width), len(lead)
        return self.g.op("Transpose", apart, perm=[0, *range(2, 2 + axes), 1, 2 + axes])

    def normed(self, x: str, scale: np.ndarray | None) -> str:
        """Return heads divided by their root mean square or length, if the layer does that."""
        if self.layer.qk_norm is None:
            return x
        reduce = "ReduceMean" if self.layer.qk_norm == "rms" else "ReduceSum"
        total = self.g.op(reduce, self.g.op("Mul", x, x), np.array([-1]), keepdims=1)
        eps = np.float32(HeadNorm(self.layer.qk_norm, self.width).eps)
        y = self.g.op("Div", x, self.g.op("Sqrt", self.g.op("Add", total, eps)))
        return y if scale is None else self.g.op("Mul", y, scale)

    def turned(self, x: str, time: int) -> str:
        """Return heads rotated by their position, if the layer does that."""
        if not self.layer.rotary:
            return x
        g, layer = self.g, self.layer
        half = layer.turn.width(self.width) // 2
        angle = layer.turn.angles(np.arange(time), self.width)
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        widths = [half, half, self.width - 2 * half][: 3 if self.width > 2 * half else 2]
        a, b, *rest = g.ops("Split", len(widths), x, np.array(widths), axis=-1)
        first = g.op("Sub", g.op("Mul", a, cos), g.op("Mul", b, sin))
        second = g.op("Add", g.op("Mul", a, sin), g.op("Mul", b, cos))
        return g.op("Concat", first, second, *rest, axis=-1)

    def beside(self, added: Value) -> str:
        """Return the bias that is added to the scores, in their shape."""
        if len(added.shape) == 4:
            return self.g.reshape(added, 0, *self.lead, self.queries, self.keys)
        return self.g.op("Unsqueeze", added, np.arange(1, 1 + len(self.lead)))

    def masked(self, scores: str, mask: Value | None) -> tuple[str, str | None]:
        """Return the scores, with the lowest number at masked positions, and the mask if a query may have none."""
        g = self.g
        place, other = np.arange(self.queries)[:, None], np.arange(self.keys)
        near = place >= other if self.layer.causal else None
        if self.layer.window is not None:
            within = np.abs(place - other) < self.layer.window
            near = within if near is None else near & within
        if mask is None and (near is None or near.any(1).all()):
            return (scores if near is None else g.op("Where", near, scores, LEAST)), None
        visible = g.constant(near) if mask is None else self._beside_heads(mask)
        if mask is not None and near is not None:
            visible = g.op("And", visible, near)
        return g.op("Where", visible, scores, LEAST), visible

    def _beside_heads(self, mask: Value) -> str:
        """Return a mask in the shape of the scores."""
        if len(mask.shape) == 4:
            return self.g.reshape(mask, 0, *self.lead, self.queries, self.keys)
        return self.g.op("Unsqueeze", mask, np.arange(1, len(self.lead) + (2 if len(mask.shape) == 2 else 1)))
