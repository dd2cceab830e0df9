"""Backpropagation: forward through the nodes, the losses, and back again, adding up deltas.

A delta is the derivative of the total loss by a node's output. Everything here is a pure function of its arguments;
compiled with `jax.jit`, unused results cost nothing.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Context, Params, State
from retrograd.network.located import located
from retrograd.network.network import Network, own_params, take
from retrograd.network.scope import Node
from retrograd.propagation.accumulate import add_delta, add_node_grads
from retrograd.propagation.objective import Objective, evaluate_losses, total
from retrograd.propagation.one_layer import adjoint, run_layer
from retrograd.propagation.recompute import Forgotten, forget, groups, run_again


class Record(NamedTuple):
    """The result of a forward pass: every node's output (and the batch's columns), tapes, and new state."""

    outputs: dict[str, Any]
    tapes: dict[str, Any]
    state: dict[str, State]


class Pass(NamedTuple):
    """Everything that one forward and backward pass computed, by node."""

    loss: Array
    losses: dict[str, Array]
    outputs: dict[str, Any]
    deltas: dict[str, Any]
    grads: dict[str, Params]
    state: dict[str, State]


def backprop(
    network: Network,
    objectives: Sequence[Objective],
    params: Mapping[str, Params],
    state: Mapping[str, State],
    ctx: Context,
    batch: Mapping[str, Any],
    shares: Mapping[str, Array] | None = None,
) -> Pass:
    """Return loss, outputs, deltas, gradients and new state of one batch.

    `shares` multiplies the losses by name: a micro-batch counts for its share of the whole batch.
    """
    outputs, tapes, new_state = forward(network, params, state, ctx, batch)
    losses, deltas = evaluate_losses(objectives, outputs, ctx, shares)
    deltas, grads = backward(network, params, tapes, deltas)
    return Pass(total(objectives, losses), losses, outputs, deltas, grads, new_state)


def forward(
    network: Network,
    params: Mapping[str, Params],
    state: Mapping[str, State],
    ctx: Context,
    batch: Mapping[str, Any],
) -> Record:
    """Run the nodes in order. The tapes of a recomputed group are replaced by the group's inputs."""
    computed, tapes, new_state = run_forward(network.nodes, params, state, ctx, batch)
    outputs = {**batch, **computed}
    return Record(outputs, forget(network.nodes, tapes, outputs, state, ctx), new_state)


def backward(
    network: Network, params: Mapping[str, Params], tapes: Mapping[str, Any], deltas: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Params]]:
    """Run the nodes in reverse: each turns its output's delta into its inputs' deltas and its parameters' gradients."""
    deltas = dict(deltas)
    grads: dict[str, Params] = {name: {} for name in params}
    for group, nodes in reversed(groups(network.nodes)):
        if not group:
            run_backward(nodes, params, tapes, deltas, grads)
        elif any(node.name in deltas for node in nodes):
            run_again(partial(_run_both, nodes), nodes, params, tapes[group], deltas, grads)
    return deltas, {
        name: {key: grads[name].get(key, jnp.zeros_like(value)) for key, value in node_params.items()}
        for name, node_params in params.items()
    }


def run_forward(
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    state: Mapping[str, State],
    ctx: Context,
    before: Mapping[str, Any],
) -> Record:
    """Run nodes in order, given the columns and outputs `before` them; return only the results of these nodes."""
    outputs: dict[str, Any] = {}
    tapes: dict[str, Any] = {}
    new_state: dict[str, State] = {}
    known = ChainMap(outputs, dict(before))
    for node in nodes:
        inputs = tuple(take(known, reference) for reference in node.inputs)
        with located(node, dict(zip(node.inputs, inputs, strict=True))), jax.named_scope(node.name):
            node_state = state.get(node.name, {})
            train = ctx.train and not (
                node.frozen and node_state
            )  # frozen: uses running statistics, never updates them
            node_ctx = replace(ctx, train=train, path=node.name)
            step = run_layer(node.layer, own_params(params, node), node_state, node_ctx, inputs)
        outputs[node.name], tapes[node.name] = step.y, step.tape
        if node.name in state:
            new_state[node.name] = step.state
    return Record(outputs, tapes, new_state)


def run_backward(
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    tapes: Mapping[str, Any],
    deltas: dict[str, Any],
    grads: dict[str, Params],
) -> None:
    """Run nodes in reverse, adding to `deltas` and `grads`."""
    for node in reversed(nodes):
        dy = deltas.get(node.name)
        if dy is None:  # no loss reaches this node
            continue
        with located(f"{node}: backward"), jax.named_scope(f"{node.name}/backward"):
            inputs, node_grads = adjoint(node.layer, own_params(params, node), tapes[node.name], dy)
            if len(inputs) != len(node.inputs):
                raise ShapeError(f"returned {len(inputs)} deltas, expected one for each of {len(node.inputs)} inputs")
        for reference, delta in zip(node.inputs, inputs, strict=True):
            add_delta(deltas, reference, delta)  # the deltas from all readers of an output add up
        add_node_grads(grads, node, node_grads)


def _run_both(
    nodes: Sequence[Node], forgotten: Forgotten, params: Mapping[str, Params], deltas: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Params]]:
    """Run a group forward again, and then backward from the deltas received so far."""
    tapes = run_forward(nodes, params, forgotten.state, forgotten.ctx, forgotten.inputs).tapes
    deltas, grads = dict(deltas), {name: Params() for name in params}
    run_backward(nodes, params, tapes, deltas, grads)
    return deltas, grads
