"""Backpropagation: forward through the nodes, the losses, and back again, adding up deltas.

A delta is the derivative of the total loss by a node's output. Everything here is a pure function of its arguments;
compile it with `jax.jit` and what nobody reads costs nothing.
"""

from __future__ import annotations

import functools
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, State, Static, expect
from retrograd.network.located import located
from retrograd.network.network import TRANSPOSED, Network, own_params, take
from retrograd.network.scope import Node
from retrograd.propagation.empty import backward_of_no_rows, empty_told, forward_of_no_rows
from retrograd.propagation.recompute import Forgotten, groups, read_by


@dataclass(frozen=True)
class Objective:
    """A loss on some outputs and columns, with its weight in the total; targets are the columns behind the first.

    `inputs` are nodes, as the pass names them: of `named(Dense(1, "sigmoid"), "out")` the node `out` is the sum and
    `out/sigmoid` the activation. `Objective.on` takes names as the user gave them.
    """

    name: str
    loss: Layer
    inputs: tuple[str, ...]
    weight: float = 1.0

    @classmethod
    def on(
        cls,
        network: Network,
        loss: Layer,
        output: str | None = None,
        target: str | Sequence[str] = "y",
        *,
        sample_weight: str | None = None,
        name: str = "loss",
        weight: float = 1.0,
    ) -> Objective:
        """Return the objective on an entry's output (after its activation), or on the network's last one.

        `target` names a column, or all that the loss takes besides that output: columns and other entries.
        """
        reference = network.output if output is None else network.resolve(output)
        targets = [network.resolve(each) for each in ([target] if isinstance(target, str) else target)]
        more = () if sample_weight is None else (sample_weight,)
        return cls(name, loss, (reference, *targets, *more), weight)

    def __str__(self) -> str:
        return f"{self.name} ({self.loss.kind} of {', '.join(self.inputs)})"


class Record(NamedTuple):
    """What a forward pass leaves: every node's output (and the batch's columns), tapes, and new state."""

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
    losses, deltas = compare(objectives, outputs, ctx, shares)
    deltas, grads = backward(network, params, tapes, deltas)
    return Pass(total(objectives, losses), losses, outputs, deltas, grads, new_state)


def forward(
    network: Network,
    params: Mapping[str, Params],
    state: Mapping[str, State],
    ctx: Context,
    batch: Mapping[str, Any],
) -> Record:
    """Run the nodes in order. The tapes of a group that is computed again are replaced by the group's inputs."""
    outputs: dict[str, Any] = dict(batch)
    tapes: dict[str, Any] = {}
    new_state: dict[str, State] = {}
    for group, nodes in groups(network.nodes):
        before = {name: outputs[name] for name in read_by(nodes)} if group else {}
        found = run(nodes, params, state, ctx, outputs)
        outputs |= found.outputs
        new_state |= found.state
        own = {node.name: state[node.name] for node in nodes if node.name in state}
        tapes |= {group: Forgotten(before, own, ctx)} if group else found.tapes
    return Record(outputs, tapes, new_state)


def backward(
    network: Network, params: Mapping[str, Params], tapes: Mapping[str, Any], deltas: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Params]]:
    """Run the nodes in reverse: each turns its output's delta into its inputs' deltas and its parameters' gradients."""
    deltas = dict(deltas)
    grads: dict[str, Params] = {name: {} for name in params}
    for group, nodes in reversed(groups(network.nodes)):
        if not group:
            run_back(nodes, params, tapes, deltas, grads)
        elif any(node.name in deltas for node in nodes):
            run_again(nodes, params, tapes[group], deltas, grads)
    return deltas, {
        name: {key: grads[name].get(key, jnp.zeros_like(own[key])) for key in own} for name, own in params.items()
    }


def run(
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    state: Mapping[str, State],
    ctx: Context,
    before: Mapping[str, Any],
) -> Record:
    """Run some nodes forward behind others, whose outputs are given; return what they add."""
    outputs: dict[str, Any] = {}
    tapes: dict[str, Any] = {}
    new_state: dict[str, State] = {}
    for node in nodes:
        known = ChainMap(outputs, before)  # type: ignore[arg-type]
        inputs = tuple(take(known, reference) for reference in node.inputs)
        with located(node, dict(zip(node.inputs, inputs, strict=True))), jax.named_scope(node.name):
            own_state = state.get(node.name, {})
            train = ctx.train and not (node.frozen and own_state)  # frozen running statistics are used, not updated
            here = replace(ctx, train=train, path=node.name)
            step = record(node.layer, own_params(params, node), own_state, here, inputs)
        outputs[node.name], tapes[node.name] = step.y, step.tape
        if node.name in state:
            new_state[node.name] = step.state
    return Record(outputs, tapes, new_state)


def run_back(
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    tapes: Mapping[str, Any],
    deltas: dict[str, Any],
    grads: dict[str, Params],
) -> None:
    """Run some nodes backward, adding to the deltas and gradients that are given."""
    for node in reversed(nodes):
        dy = deltas.get(node.name)
        if dy is None:  # no loss reaches this node
            continue
        with located(f"{node}: backward"), jax.named_scope(f"{node.name}/backward"):
            inputs, own = adjoint(node.layer, own_params(params, node), tapes[node.name], dy)
            if len(inputs) != len(node.inputs):
                raise ShapeError(f"returned {len(inputs)} deltas, expected one for each of {len(node.inputs)} inputs")
        for reference, delta in zip(node.inputs, inputs, strict=True):
            add_delta(deltas, reference, delta)  # an output that several nodes read sums their deltas
        for name, grad in own.items():
            add_grad(grads, node, name, grad)


def compare(
    objectives: Sequence[Objective],
    outputs: Mapping[str, Any],
    ctx: Context,
    shares: Mapping[str, Array] | None = None,
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return each objective's loss, and the deltas with which the backward pass begins."""
    losses: dict[str, Array] = {}
    deltas: dict[str, Any] = {}
    for objective in objectives:
        with located(objective):
            inputs = tuple(take(outputs, reference) for reference in objective.inputs)
        with located(objective, dict(zip(objective.inputs, inputs, strict=True))):
            step = record(objective.loss, {}, {}, ctx.at(objective.name), inputs)
        share = jnp.asarray((shares or {}).get(objective.name, 1), step.y.dtype)
        losses[objective.name] = step.y * share
        back = adjoint(objective.loss, {}, step.tape, share * jnp.asarray(objective.weight, step.y.dtype))
        for reference, delta in zip(objective.inputs, back.inputs, strict=True):
            add_delta(deltas, reference, delta)
    return losses, deltas


def total(objectives: Sequence[Objective], losses: Mapping[str, Array]) -> Array:
    """Return the weighted sum of the losses."""
    return functools.reduce(jnp.add, (losses[objective.name] * objective.weight for objective in objectives))


# --------------------------------------------------------------------------------------------------------- one layer


def record(layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]) -> Forward:
    """Run a layer forward; one without a backward of its own is recorded by `jax.vjp`."""
    with empty_told(inputs):
        return forward_of_no_rows(layer, params, state, ctx, inputs) or _recorded(layer, params, state, ctx, inputs)


def _recorded(layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]) -> Forward:
    if layer.derivation == "written":
        return expect(Forward, layer.forward(params, state, ctx, *inputs))
    smooth = tuple(i for i, x in enumerate(inputs) if jnp.issubdtype(jnp.result_type(x), jnp.inexact))

    def run(params: Params, *chosen: Any) -> tuple[Any, State]:
        full = list(inputs)
        for i, x in zip(smooth, chosen, strict=True):
            full[i] = x
        step = expect(Forward, layer.forward(params, state, ctx, *full))
        return step.y, step.state

    y, pull_back, new_state = jax.vjp(run, params, *(inputs[i] for i in smooth), has_aux=True)
    parts = tuple((part, value.shape, value.dtype) for part, value in y.items()) if isinstance(y, dict) else ()
    return Forward(y, (pull_back, Static((smooth, len(inputs), parts))), new_state)


def adjoint(layer: Layer, params: Params, tape: Any, dy: Any) -> Backward:
    """Run a layer backward."""
    found = backward_of_no_rows(params, tape)
    if found is not None:
        return found
    with empty_told(dy, tape):
        return _adjoint(layer, params, tape, dy)


def _adjoint(layer: Layer, params: Params, tape: Any, dy: Any) -> Backward:
    if layer.derivation == "written":
        return expect(Backward, layer.backward(params, tape, dy))
    pull_back, static = tape
    smooth, count, parts = static.value
    if parts:  # a part that nobody read has no delta
        dy = {part: jnp.zeros(shape, dtype) if dy.get(part) is None else dy[part] for part, shape, dtype in parts}
    grads, *deltas = pull_back(dy)
    inputs = dict(zip(smooth, deltas, strict=True))
    return Backward(tuple(inputs.get(i) for i in range(count)), grads)


def run_again(
    nodes: Sequence[Node],
    params: Mapping[str, Params],
    forgotten: Forgotten,
    deltas: dict[str, Any],
    grads: dict[str, Params],
) -> None:
    """Run a group forward once more, and then backward, adding to the deltas and gradients that are given.

    It happens inside a condition that is always true, which the compiler cannot know: otherwise it would see that
    forward has computed the same before, and keep everything from there. Without a step's number in the context there
    is no such condition, and the compiler may keep what it likes.
    """
    touched = {node.name for node in nodes} | {path.rpartition("/")[0] for node in nodes for _, path in node.share}
    given = (
        forgotten,
        {name: params[name] for name in touched if name in params},
        {node.name: deltas[node.name] for node in nodes if node.name in deltas},
    )

    def again(forgotten: Forgotten, params: Mapping[str, Params], arrived: dict[str, Any]) -> Any:
        tapes = run(nodes, params, forgotten.state, forgotten.ctx, forgotten.inputs).tapes
        deltas, grads = dict(arrived), {name: Params() for name in params}
        run_back(nodes, params, tapes, deltas, grads)
        return deltas, grads

    step = forgotten.ctx.step
    if step is None:
        found, own = again(*given)
    else:
        zeros = jax.tree.map(lambda spec: jnp.zeros(spec.shape, spec.dtype), jax.eval_shape(again, *given))
        found, own = lax.cond(step >= 0, again, lambda *_: zeros, *given)
    for name in given[2]:
        del deltas[name]  # it has come back with what the group itself added
    for name, delta in found.items():
        for part, value in delta.items() if isinstance(delta, dict) else [("", delta)]:
            add_delta(deltas, f"{name}.{part}" if part else name, value)
    for name, each in own.items():
        for param, grad in each.items():
            held = grads[name].get(param)
            grads[name][param] = grad if held is None else held + grad


# ------------------------------------------------------------------------------------------------------------ adding


def add_delta(deltas: dict[str, Any], reference: str, delta: Any) -> None:
    """Add a delta to a node's, or to one part of a node with several outputs; None adds nothing."""
    if delta is None:
        return
    name, _, part = reference.partition(".")
    if not part:
        held = deltas.get(name)
        deltas[name] = delta if held is None else jax.tree.map(jnp.add, held, delta)
        return
    parts = dict(deltas.get(name) or {})
    parts[part] = delta if parts.get(part) is None else parts[part] + delta
    deltas[name] = parts


def add_grad(grads: dict[str, Params], node: Node, name: str, grad: Array) -> None:
    """Add a gradient where its parameter lives: on the node, or on the node that it is shared from."""
    owner, param = node.name, name
    path = dict(node.share).get(name)
    if path is not None:
        owner, _, param = path.removesuffix(TRANSPOSED).rpartition("/")
        grad = grad.T if path.endswith(TRANSPOSED) else grad
    held = grads[owner].get(param)
    grads[owner][param] = grad if held is None else held + grad
