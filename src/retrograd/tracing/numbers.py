"""The numbers of one traced step as plain arrays, arranged for readers: nodes, losses, parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from retrograd.network.layer import Equations, Layer
from retrograd.network.losses.loss import Loss
from retrograd.network.network import TRANSPOSED, Network, own_params, take
from retrograd.network.scope import Node
from retrograd.tracing.look import GIVEN, Looked, Stepped
from retrograd.update.optimizer import Optimizer
from retrograd.update.penalties import Penalty
from retrograd.update.step import Stepper, TrainState

Tree = Mapping[str, Mapping[str, np.ndarray]]
SYMBOLS = {  # the fields of optax's states
    "mu": "m",
    "nu": "v",
    "nu_max": "w",  # the largest v
    "trace": "velocity",
    "sum_of_squares": "s",
    "e_g": "s",
    "e_x": "u",
}
SYMBOLS_OF = {"sgd": {"trace": "v"}, "rmsprop": {"nu": "s"}, "adamax": {"nu": "u"}}


@dataclass(frozen=True)
class Contribution:
    """A contribution to the delta of a node's output: a reader's dx, a loss's derivative, or a delta from outside."""

    source: str
    reference: str  # the node, or a part of its output (`lstm.last`)
    values: np.ndarray


@dataclass(frozen=True)
class NodeNumbers:
    """One node: its inputs and outputs, its delta and the sources of that, and the deltas of its inputs."""

    node: Node
    inputs: tuple[np.ndarray, ...]
    output: Any  # an array, or a dict of arrays
    params: dict[str, np.ndarray]  # including shared ones
    delta: Any  # None if no loss reaches the node
    contributions: tuple[Contribution, ...]
    edges: tuple[Any, ...]  # a delta or None for each input
    grads: dict[str, np.ndarray]  # by this node alone
    slope: np.ndarray | None  # of an elementwise function
    state: dict[str, tuple[np.ndarray, np.ndarray]]  # before and after the step

    @property
    def path(self) -> str:
        """The node's path."""
        return self.node.name

    @property
    def layer(self) -> Layer:
        """The node's layer."""
        return self.node.layer

    @property
    def equations(self) -> Equations | None:
        """The layer's formulas, if it has any."""
        return self.layer.formulas()


@dataclass(frozen=True)
class ObjectiveNumbers:
    """One loss: its inputs, its value, and the delta from which the backward pass starts."""

    name: str
    loss: Loss
    references: tuple[str, ...]
    inputs: tuple[np.ndarray, ...]
    value: float
    weight: float
    starts: dict[str, Any]


@dataclass(frozen=True)
class ParameterNumbers:
    """One parameter on its way through the step: gradient, stages of the optimizer, moments, update, new value."""

    path: str
    before: np.ndarray
    gradient: np.ndarray  # of the losses
    uses: dict[str, np.ndarray]  # the gradient by each node that uses the parameter
    penalty: np.ndarray | None
    stages: dict[str, np.ndarray]  # nothing for a frozen parameter
    moments: dict[str, tuple[np.ndarray, np.ndarray]]  # symbol -> before, after
    update: np.ndarray
    after: np.ndarray

    @property
    def whole(self) -> np.ndarray:
        """The gradient of the loss and of the penalty together."""
        return self.gradient if self.penalty is None else self.gradient + self.penalty

    @property
    def frozen(self) -> bool:
        """Whether the optimizer does not update it."""
        return not self.stages


@dataclass(frozen=True)
class StepNumbers:
    """One step in full."""

    name: str
    step: int  # counted from 1
    steps: int
    rows: str  # description of the rows
    dtype: str
    network: Network
    columns: dict[str, np.ndarray]
    nodes: tuple[NodeNumbers, ...]
    objectives: tuple[ObjectiveNumbers, ...]
    parameters: tuple[ParameterNumbers, ...]
    optimizer: Optimizer
    penalties: tuple[Penalty, ...]
    learning_rate: float
    updates_so_far: int  # of the optimizer, this one included: its t
    loss: float
    penalty: float
    loss_after: float
    outside: tuple[str, np.ndarray] | None  # a delta from outside, and the node where it enters
    outputs_after: dict[str, Any]
    begun_by_loss: dict[str, Any]  # the deltas from which the losses would have started

    @property
    def batch(self) -> int:
        """The number of rows in the step."""
        return len(next(iter(self.columns.values())))


def numbers(
    stepper: Stepper, before: TrainState, batch: Mapping[str, Any], made: Stepped, begun: Looked | None, **facts: Any
) -> StepNumbers:
    """Return the numbers of an examined step; `begun` is the pass from the losses if `made` starts elsewhere."""
    plain, old = jax.tree.map(np.asarray, (made._replace(after=_keyless(made.after)), _keyless(before)))
    look: Looked = plain.look
    nodes = tuple(
        _node(stepper.network, old.params, node, look, _states(node, old.state, plain.after.state))
        for node in stepper.network
    )
    objectives = tuple(
        ObjectiveNumbers(
            objective.name,
            objective.loss,  # type: ignore[arg-type]
            objective.inputs,
            tuple(np.asarray(take(look.outputs, reference)) for reference in objective.inputs),
            float(look.losses[objective.name]),
            objective.weight,
            (begun.starts if begun else look.starts)[objective.name],
        )
        for objective in stepper.objectives
    )
    return StepNumbers(
        columns={name: np.asarray(column) for name, column in batch.items()},
        network=stepper.network,
        nodes=nodes,
        objectives=objectives,
        parameters=tuple(_parameters(stepper, old, plain, nodes)),
        optimizer=stepper.optimizer,
        penalties=stepper.penalties,
        learning_rate=float(plain.learning_rate),
        updates_so_far=times(old.optimizer) + 1,
        loss=float(plain.loss),
        penalty=float(plain.penalty),
        loss_after=float(plain.loss_after),
        outputs_after=plain.outputs_after,
        begun_by_loss=_sum_of_starts(begun or look),
        **facts,
    )


def parts(path: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the arrays of an output or delta with their references: one, or one per part."""
    if value is None:
        return
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from parts(f"{path}.{name}", part)
    else:
        yield path, np.asarray(value)


def _node(network: Network, params: Any, node: Node, look: Any, state: Any) -> NodeNumbers:
    return NodeNumbers(
        node,
        tuple(np.asarray(take(look.outputs, reference)) for reference in node.inputs),
        look.outputs[node.name],
        {name: np.asarray(value) for name, value in own_params(params, node).items()},
        look.deltas.get(node.name),
        tuple(_contributions(network, node, look)),
        look.edges.get(node.name, ()),
        dict(sorted(look.own.get(node.name, {}).items(), key=lambda item: item[0] == "bias")),
        look.slopes.get(node.name),
        state,
    )


def _states(node: Node, before: Any, after: Any) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    old, new = before.get(node.name, {}), after.get(node.name, {})
    return {name: (np.asarray(old[name]), np.asarray(new[name])) for name in old}


def _contributions(network: Network, node: Node, look: Looked) -> Iterator[Contribution]:
    for source, start in look.starts.items():
        for reference, values in parts(node.name, start.get(node.name)):
            yield Contribution(source, reference, values)
    for reader in network.nodes:
        for reference, delta in zip(reader.inputs, look.edges.get(reader.name, ()), strict=False):
            if reference.partition(".")[0] == node.name:
                for name, values in parts(reference, delta):
                    yield Contribution(reader.name, name, values)


def _parameters(
    stepper: Stepper, train: TrainState, plain: Any, nodes: Sequence[NodeNumbers]
) -> Iterator[ParameterNumbers]:
    old, new = moments(stepper.optimizer, train.optimizer), moments(stepper.optimizer, plain.after.optimizer)
    uses: dict[str, dict[str, np.ndarray]] = {}
    for facts in nodes:
        shares = dict(facts.node.share)
        for name, grad in facts.grads.items():
            path = shares.get(name, f"{facts.path}/{name}")
            owner = path.removesuffix(TRANSPOSED)
            uses.setdefault(owner, {})[facts.path] = grad.T if path.endswith(TRANSPOSED) else grad
    for node, name in in_order(stepper.network, train.params):
        value, path = train.params[node][name], f"{node}/{name}"
        trained = name in plain.updates.get(node, {})
        yield ParameterNumbers(
            path,
            np.asarray(value),
            plain.look.grads[node][name],
            uses.get(path, {}),
            plain.penalty_grads[node][name] if stepper.penalties else None,
            {stage: tree[node][name] for stage, tree in plain.stages.items()} if trained else {},
            {key: (old[key][node][name], new[key][node][name]) for key in old} if trained else {},
            plain.updates[node][name] if trained else np.zeros_like(value),
            plain.after.params[node][name],
        )


def _keyless(state: TrainState) -> TrainState:
    return state._replace(key=cast(Any, None))  # a key is not a number


def in_order(network: Network, params: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the parameters as (node, name) in the order of the nodes, weights before biases."""
    of = {node.name: sorted(params.get(node.name, ()), key=lambda name: (name == "bias", name)) for node in network}
    return [(node, name) for node, names in of.items() for name in names]


def _sum_of_starts(look: Looked) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for source, start in look.starts.items():
        if source != GIVEN:
            for name, delta in start.items():
                for reference, values in parts(name, delta):
                    sums[reference] = sums[reference] + values if reference in sums else values
    return sums


def moments(optimizer: Optimizer, state: Any) -> dict[str, Any]:
    """Return {symbol: {node: {name: array}}} of the moments from which an optimizer's direction is computed."""
    names = SYMBOLS_OF.get(getattr(optimizer, "registered_name", ""), {})
    return {names.get(name, SYMBOLS.get(name, name)): tree for name, tree in _trees(state["direction"])}


def times(state: Any) -> int:
    """Return the number of updates by an optimizer: the count of its schedule, which every chain has."""
    return int(np.asarray(state["rate"].count))


def _trees(state: Any) -> Iterator[tuple[str, Any]]:
    if hasattr(state, "_fields"):
        for name in state._fields:
            value = getattr(state, name)
            if isinstance(value, Mapping):
                yield name, value
            elif isinstance(value, tuple):
                yield from _trees(value)
    elif isinstance(state, tuple):
        for inner in state:
            yield from _trees(inner)
