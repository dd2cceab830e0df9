"""Adding up the deltas from several readers of one output, and the gradients from several users of one parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.network.layer import Params
from retrograd.network.network import TRANSPOSED
from retrograd.network.scope import Node


def add_delta(deltas: dict[str, Any], reference: str, delta: Any) -> None:
    """Add a delta to a node's sum, or to one part of a node with several outputs; None adds nothing."""
    if delta is None:
        return
    name, _, part = reference.partition(".")
    if not part:
        sum_so_far = deltas.get(name)
        deltas[name] = delta if sum_so_far is None else jax.tree.map(jnp.add, sum_so_far, delta)
        return
    parts = dict(deltas.get(name) or {})
    parts[part] = delta if parts.get(part) is None else parts[part] + delta
    deltas[name] = parts


def add_deltas(deltas: dict[str, Any], others: Mapping[str, Any]) -> None:
    """Add the deltas of several nodes, part by part if a node has several outputs."""
    for name, delta in others.items():
        for part, value in delta.items() if isinstance(delta, dict) else [("", delta)]:
            add_delta(deltas, f"{name}.{part}" if part else name, value)


def add_node_grads(grads: dict[str, Params], node: Node, node_grads: Params) -> None:
    """Add a node's gradients to those of the owner of its parameters: the node, or the one that it shares them from."""
    shared = dict(node.share)
    for name, grad in node_grads.items():
        path = shared.get(name)
        if path is None:
            add_grad(grads, node.name, name, grad)
        else:
            owner, _, param = path.removesuffix(TRANSPOSED).rpartition("/")
            add_grad(grads, owner, param, grad.T if path.endswith(TRANSPOSED) else grad)


def add_grad(grads: dict[str, Params], owner: str, param: str, grad: Array) -> None:
    """Add the gradient of one parameter."""
    sum_so_far = grads[owner].get(param)
    grads[owner][param] = grad if sum_so_far is None else sum_so_far + grad


def add_grads(grads: dict[str, Params], others: Mapping[str, Params]) -> None:
    """Add the gradients of several nodes."""
    for owner, params in others.items():
        for param, grad in params.items():
            add_grad(grads, owner, param, grad)
