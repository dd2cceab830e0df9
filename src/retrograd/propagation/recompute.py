"""Groups of nodes that backward recomputes, and what they keep instead of their tapes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from retrograd.network.layer import Context, Params, State
from retrograd.network.scope import Node
from retrograd.propagation.accumulate import add_deltas, add_grads


class Forgotten(NamedTuple):
    """What a group of nodes keeps instead of its tapes: everything its forward depends on except the parameters."""

    inputs: dict[str, Any]
    state: dict[str, State]
    ctx: Context


Again = Callable[[Forgotten, Mapping[str, Params], Mapping[str, Any]], tuple[dict[str, Any], dict[str, Params]]]


def groups(nodes: Sequence[Node]) -> list[tuple[str, list[Node]]]:
    """Return the nodes in order, group by group; nodes between two groups come under an empty name."""
    return [(group, list(members)) for group, members in itertools.groupby(nodes, lambda node: node.recompute)]


def forget(
    nodes: Sequence[Node],
    tapes: Mapping[str, Any],
    outputs: Mapping[str, Any],
    state: Mapping[str, State],
    ctx: Context,
) -> dict[str, Any]:
    """Return the tapes with those of each group replaced by the group's inputs, under the group's name."""
    remaining = {node.name: tapes[node.name] for node in nodes if not node.recompute}
    for group, members in groups(nodes):
        if group:
            inputs = {name: outputs[name] for name in read_by(members)}
            states = {node.name: state[node.name] for node in members if node.name in state}
            remaining[group] = Forgotten(inputs, states, ctx)
    return remaining


def read_by(nodes: Sequence[Node]) -> list[str]:
    """Return the columns and outside nodes that a group reads."""
    inside = {node.name for node in nodes}
    read = (reference.partition(".")[0] for node in nodes for reference in node.inputs)
    return [name for name in dict.fromkeys(read) if name not in inside]


def run_again(
    again: Again,
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    forgotten: Forgotten,
    deltas: dict[str, Any],
    grads: dict[str, Params],
) -> None:
    """Run a group forward again, and then backward (`again`), adding to `deltas` and `grads`.

    This happens under a condition that is always true, which the compiler cannot know: otherwise it would merge the
    recomputation with the first forward and keep everything. Without a step number in the context there is no such
    condition, and the compiler may keep what it likes.
    """
    owners = {node.name for node in nodes} | {path.rpartition("/")[0] for node in nodes for _, path in node.share}
    arguments = (
        forgotten,
        {name: params[name] for name in owners if name in params},
        {node.name: deltas.pop(node.name) for node in nodes if node.name in deltas},
    )
    if forgotten.ctx.step is None:
        group_deltas, group_grads = again(*arguments)
    else:
        zeros = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), jax.eval_shape(again, *arguments))
        group_deltas, group_grads = lax.cond(forgotten.ctx.step >= 0, again, lambda *_: zeros, *arguments)
    add_deltas(deltas, group_deltas)
    add_grads(grads, group_grads)
