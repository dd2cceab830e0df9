"""Attention: a head is removed with its part of every projection; heads that share keys and values go together."""

from __future__ import annotations

from typing import Any

import numpy as np

from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.network.layers.attention.projections import FEEDS, UNNAMED
from retrograd.ship.pruning.channels import Labels
from retrograd.ship.pruning.coupling import Place, coupled, labelled


@coupled.register(MultiHeadAttention)
def attention(at: Place, layer: MultiHeadAttention, *inputs: Labels) -> Any:
    """Query, key and value weights [features, heads x width], output weight [heads x width, units]."""
    names = layer.reads or UNNAMED[len(inputs)]
    named = dict(zip(names, inputs, strict=True))
    sources = [named[name] for name in ("query", "memory", "key", "value") if name in named]
    for source, projections in zip(sources, FEEDS[UNNAMED[len(sources)]], strict=True):
        for projection in projections:
            at.param(f"{projection}_weight", 0, source, reads=True)
    shared = layer.key_value_heads or layer.heads
    head = at.channels.new(shared)
    at.size("heads", head, layer.heads // shared)
    if layer.key_value_heads:
        at.size("key_value_heads", head)
    for projection in ("query", "key", "value"):
        columns = np.repeat(head, at.shape(f"{projection}_weight")[1] // shared)
        at.param(f"{projection}_weight", 1, columns)
        at.param(f"{projection}_bias", 0, columns)
    at.param("cosine_scale", 0, np.repeat(head, layer.heads // shared))
    at.param("output_weight", 0, np.repeat(head, at.shape("output_weight")[0] // shared), reads=True)
    y = at.units("units", at.shape("output_weight")[1])
    at.param("output_weight", 1, y)
    at.param("output_bias", 0, y)
    specs = dict(zip(names, at.inputs, strict=True))
    if layer.output != "sequence":
        at.freeze(head, "attention weights are an output")
    elif any(len(specs[name].shape) == 4 for name in ("mask", "scores") if name in specs):
        at.freeze(head, "the mask or scores have an axis for heads")
    if layer.output == "sequence":
        return y
    return {"sequence": y, "weights": labelled(at.channels, at.output["weights"], f"returned by {at.node}")}
