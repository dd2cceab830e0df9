"""A language model token by token: attention keeps keys and values, every other layer sees one token at a time."""

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
    """Return whether each layer sees of a sequence one token alone, or is causal self-attention."""
    return network.columns == (DEFAULT_INPUT,) and all(_can(node.layer, len(node.inputs)) for node in network.nodes)


def _can(layer: Layer, inputs: int) -> bool:
    if isinstance(layer, kinds.MultiHeadAttention):
        return inputs == 1 and layer.causal and layer.output == "sequence" and layer.reads in ((), ("query",))
    if isinstance(layer, Activation):
        return layer.by_element
    return isinstance(layer, (*BY_TOKEN, *PLACED)) or (isinstance(layer, BY_LAST_AXIS) and layer.axes == 1)


def empty(network: Network, params: Mapping[str, Params], places: int, rows: int) -> dict[str, tuple[Array, Array]]:
    """Return room for keys and values of so many places, by the names of the nodes."""
    kept = {}
    for node in network.nodes:
        if isinstance(node.layer, kinds.MultiHeadAttention):
            own, shared = own_params(params, node), node.layer.key_value_heads or node.layer.heads
            keys, values = (
                jnp.zeros((rows, shared, places, own[f"{role}_weight"].shape[1] // shared), own["key_weight"].dtype)
                for role in ("key", "value")
            )
            kept[node.name] = (keys, values)
    return kept


def step(
    network: Network, params: Any, state: Any, kept: Mapping[str, Any], x: Array, start: Array, last: Array
) -> tuple[Array, dict[str, Any]]:
    """Return the logits after token `last` of x [rows, tokens], whose first stands at the place `start`, and what is
    kept with these tokens.
    """
    outputs: dict[str, Any] = {DEFAULT_INPUT: x}
    new = dict(kept)
    for node in network.nodes:
        inputs = [take(outputs, reference) for reference in node.inputs]
        own = own_params(params, node)
        if isinstance(node.layer, kinds.MultiHeadAttention):
            outputs[node.name], new[node.name] = _attend(node.layer, own, new[node.name], inputs[0], start)
        elif isinstance(node.layer, PLACED):
            outputs[node.name] = inputs[0] + _places(node.layer, own, inputs[0], start, kept)
        else:
            outputs[node.name] = _alone(node, own, state, inputs)
    logits: Array = lax.dynamic_index_in_dim(take(outputs, network.output), last, 1, keepdims=False)
    return logits, new


def _attend(layer: kinds.MultiHeadAttention, own: Params, kept: Any, x: Array, start: Array) -> tuple[Array, Any]:
    (roles,) = FEEDS[("query",)]
    columns = project(own, x, roles)
    norm = layer.norm_of(own)
    columns = norm.forward(own, columns)[0] if norm is not None else columns
    y, kept = layer.heads_of(1).step(columns, kept, start, layer.window)
    return project(own, y, ("output",))["output"], kept


def _places(layer: Layer, own: Params, x: Array, start: Array, kept: Mapping[str, Any]) -> Array:
    """Return what is added to the tokens of x for their places."""
    if isinstance(layer, kinds.LearnedPositions):
        rows = own["weight"]
    else:
        places = max((each[0].shape[2] for each in kept.values()), default=x.shape[1])
        rows = jnp.asarray(waves(places, x.shape[2]))
    return lax.dynamic_slice_in_dim(rows, start, x.shape[1])[None].astype(x.dtype)


def _alone(node: Node, own: Params, state: Any, inputs: list[Array]) -> Any:
    return node.layer.forward(own, state.get(node.name, {}), Context(path=node.name), *inputs).y
