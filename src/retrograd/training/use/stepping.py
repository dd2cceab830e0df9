"""Running a language model token by token: attention caches keys and values, other layers see one token at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from retrograd.network import layers as kinds
from retrograd.network.layer import Activation, Context, Layer, Params
from retrograd.network.layers.attention.positions import waves
from retrograd.network.layers.attention.projections import FEEDS, project
from retrograd.network.network import DEFAULT_INPUT, Network, own_params, take
from retrograd.network.scope import Node

BY_TOKEN = (kinds.Dense, kinds.Embedding, kinds.Identity, kinds.Dropout, kinds.GaussianNoise, kinds.TokenDropout,
            kinds.Add, kinds.Subtract, kinds.Multiply, kinds.Average, kinds.Maximum, kinds.Minimum)  # fmt: skip
BY_LAST_AXIS = (kinds.LayerNorm, kinds.RMSNorm)
PLACED = (kinds.LearnedPositions, kinds.Positions)


def can_step(network: Network) -> bool:
    """Return whether each layer acts on single tokens of a sequence, or is causal self-attention."""
    return network.columns == (DEFAULT_INPUT,) and all(_can(node.layer, len(node.inputs)) for node in network.nodes)


def _can(layer: Layer, inputs: int) -> bool:
    if isinstance(layer, kinds.MultiHeadAttention):
        return inputs == 1 and layer.causal and layer.output == "sequence" and layer.reads in ((), ("query",))
    if isinstance(layer, Activation):
        return layer.by_element
    return isinstance(layer, (*BY_TOKEN, *PLACED)) or (isinstance(layer, BY_LAST_AXIS) and layer.axes == 1)


def empty(network: Network, params: Mapping[str, Params], places: int, rows: int) -> dict[str, tuple[Array, Array]]:
    """Return empty caches for the keys and values of `places` positions, by node name."""
    caches = {}
    for node in network.nodes:
        if isinstance(node.layer, kinds.MultiHeadAttention):
            weights, heads = own_params(params, node), node.layer.key_value_heads or node.layer.heads
            keys, values = (
                jnp.zeros(
                    (rows, heads, places, weights[f"{role}_weight"].shape[1] // heads), weights["key_weight"].dtype
                )
                for role in ("key", "value")
            )
            caches[node.name] = (keys, values)
    return caches


def step(
    network: Network, params: Any, state: Any, kept: Mapping[str, Any], x: Array, start: Array, last: Array
) -> tuple[Array, dict[str, Any]]:
    """Return the logits after token `last` of x [rows, tokens], whose first token has position `start`, and the updated
    caches.
    """
    outputs: dict[str, Any] = {DEFAULT_INPUT: x}
    new = dict(kept)
    for node in network.nodes:
        inputs = [take(outputs, reference) for reference in node.inputs]
        node_params = own_params(params, node)
        if isinstance(node.layer, kinds.MultiHeadAttention):
            outputs[node.name], new[node.name] = _attend(node.layer, node_params, new[node.name], inputs[0], start)
        elif isinstance(node.layer, PLACED):
            outputs[node.name] = inputs[0] + _places(node.layer, node_params, inputs[0], start, kept)
        else:
            outputs[node.name] = _single(node, node_params, state, inputs)
    logits: Array = lax.dynamic_index_in_dim(take(outputs, network.output), last, 1, keepdims=False)
    return logits, new


def _attend(layer: kinds.MultiHeadAttention, params: Params, cache: Any, x: Array, start: Array) -> tuple[Array, Any]:
    (roles,) = FEEDS[("query",)]
    columns = project(params, x, roles)
    norm = layer.norm_of(params)
    columns = norm.forward(params, columns)[0] if norm is not None else columns
    y, cache = layer.heads_of(1).step(columns, cache, start, layer.window)
    return project(params, y, ("output",))["output"], cache


def _places(layer: Layer, params: Params, x: Array, start: Array, caches: Mapping[str, Any]) -> Array:
    """Return the position terms added to the tokens of x."""
    if isinstance(layer, kinds.LearnedPositions):
        rows = params["weight"]
    else:
        places = max((keys.shape[2] for keys, _ in caches.values()), default=x.shape[1])
        rows = jnp.asarray(waves(places, x.shape[2]))
    return lax.dynamic_slice_in_dim(rows, start, x.shape[1])[None].astype(x.dtype)


def _single(node: Node, params: Params, state: Any, inputs: list[Array]) -> Any:
    return node.layer.forward(params, state.get(node.name, {}), Context(path=node.name), *inputs).y
