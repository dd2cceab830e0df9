"""Which channels of a network can be removed together, determined in one pass over its graph, layer by layer.

For every value, each position of its last axis has a label: the set of channels that it belongs to. A layer's rule
(`rules/`) determines the labels of its output, and which axes of its parameters and state they label. Data columns,
outputs that a loss reads, and layers without a rule keep all their channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np

from retrograd.network.initializers import Values
from retrograd.network.layer import Activation, Layer
from retrograd.network.network import TRANSPOSED, Network, Variables, take
from retrograd.network.scope import Node
from retrograd.propagation.objective import Objective
from retrograd.ship.pruning.channels import Channels, Labels

Rule = Callable[..., Any]
R = TypeVar("R", bound=Rule)
OUTPUT = "a loss reads it"


class Size(NamedTuple):
    """A setting of a node that counts channels: `times` the number of `labels` that remain.

    Channels that a node `makes` are compared with one another; others only follow.
    """

    node: str
    setting: str
    labels: Labels
    times: int = 1
    makes: bool = True


class Slice(NamedTuple):
    """An axis of a parameter (or state) that has channels: those that the layer `reads`, or those that it makes."""

    part: str  # params or state
    node: str
    name: str
    axis: int
    labels: Labels
    reads: bool


@dataclass
class Coupling:
    """The result of the pass over the graph."""

    channels: Channels = field(default_factory=Channels)
    sizes: list[Size] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    inexact: list[Labels] = field(default_factory=list)  # inputs of a norm: if some are removed, the rest changes too


class Rules:
    """The rules of layers: `@coupled.register(MyLayer)` above a function of (at, layer, *labels of the inputs).

    It returns the labels of the output, or a dict of them for a layer with several outputs. `at` is a `Place`.
    """

    def __init__(self) -> None:
        self._rules: dict[type, Rule] = {}

    def register(self, *kinds: type[Layer]) -> Callable[[R], R]:
        """Return a decorator that registers the rule of these layer classes, but not of their subclasses."""

        def file(rule: R) -> R:
            self._rules.update(dict.fromkeys(kinds, rule))
            return rule

        return file

    def of(self, layer: Layer) -> Rule | None:
        """Return the rule of a layer; elementwise activations without parameters pass channels on."""
        rule = self._rules.get(type(layer))
        if rule is None and isinstance(layer, Activation) and layer.by_element and type(layer).init is Layer.init:
            return passed
        return rule


def passed(at: Place, layer: Layer, x: Labels, *others: Labels) -> Labels:
    """Return the labels of the first input: each output channel is computed from the same input channel only."""
    return x


coupled = Rules()


class Place:
    """A node during the pass: its shapes, and methods with which its rule records what it couples."""

    def __init__(
        self, coupling: Coupling, node: Node, variables: Variables, inputs: Sequence[Any], output: Any
    ) -> None:
        self.coupling, self.channels, self.node = coupling, coupling.channels, node
        self.inputs, self.output = inputs, output  # specs
        self._variables, self._shared = variables, dict(node.share)

    @property
    def length(self) -> int:
        """The length of the output's last axis."""
        return int(self.output.shape[-1])

    def units(self, setting: str, count: int | None = None) -> Labels:
        """Return labels for new channels, whose number is a setting."""
        labels = self.channels.new(self.length if count is None else count)
        self.size(setting, labels)
        return labels

    def size(self, setting: str, labels: Labels, times: int = 1, makes: bool = True) -> None:
        """Record that a setting is `times` the number of these channels."""
        self.coupling.sizes.append(Size(self.node.name, setting, labels, times, makes))

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a parameter."""
        owner, own, transposed = self._owner(name)
        shape = tuple(self._variables.params[owner][own].shape)
        return shape[::-1] if transposed else shape

    def param(self, name: str, axis: int, labels: Labels, reads: bool = False) -> None:
        """Record that an axis of a parameter has these channels; a parameter that the layer lacks is ignored."""
        owner, own, transposed = self._owner(name)
        value = self._variables.params.get(owner, {}).get(own)
        if value is not None:
            axis %= value.ndim
            self._slice("params", owner, own, value.ndim - 1 - axis if transposed else axis, labels, reads)

    def state(self, name: str, labels: Labels) -> None:
        """Record that the only axis of a state array has these channels."""
        if name in self._variables.state.get(self.node.name, {}):
            self._slice("state", self.node.name, name, 0, labels, False)

    def freeze(self, labels: Labels, reason: str = "") -> None:
        """Keep channels from being removed."""
        self.channels.freeze(labels, reason or f"read by {self.node}")

    def fixed(self, *inputs: Any) -> Any:
        """Keep all channels of a node's inputs and output; return labels of its output."""
        for labels in inputs:
            for each in labels.values() if isinstance(labels, Mapping) else [labels]:
                self.freeze(each)
        return labelled(self.channels, self.output, f"returned by {self.node}")

    def freeze_parameters(self) -> None:
        """Keep all channels of parameters that the node shares with others, as its use of them is unknown."""
        own = {self._owner(name)[:2] for name in (*self._variables.params.get(self.node.name, {}), *self._shared)}
        for piece in self.coupling.slices:
            if (piece.node, piece.name) in own:
                self.freeze(piece.labels, f"shared with {self.node}")

    def _slice(self, part: str, node: str, name: str, axis: int, labels: Labels, reads: bool) -> None:
        for other in self.coupling.slices:  # of a shared parameter
            if other[:4] == (part, node, name, axis):
                self.channels.join(other.labels, labels)
        self.coupling.slices.append(Slice(part, node, name, axis, labels, reads))

    def _owner(self, name: str) -> tuple[str, str, bool]:
        path = self._shared.get(name, f"{self.node.name}/{name}")
        owner, _, own = path.removesuffix(TRANSPOSED).rpartition("/")
        return owner, own, path.endswith(TRANSPOSED)


def couple(network: Network, objectives: Sequence[Objective], variables: Variables, columns: Mapping[str, Any]
           ) -> Coupling:  # fmt: skip
    """Return which channels of a network can only be removed together. `columns` are arrays or specs of a batch."""
    coupling = Coupling()
    channels, specs = coupling.channels, {**columns, **network.specs(columns)}
    values: dict[str, Any] = {name: labelled(channels, spec, f"the column {name}") for name, spec in columns.items()}
    for node in network:
        read = [take(values, reference) for reference in node.inputs]
        place = Place(coupling, node, variables, [take(specs, name) for name in node.inputs], specs[node.name])
        rule = coupled.of(node.layer)
        if rule is None or _is_written_out(node.layer):
            values[node.name] = _left_alone(place, rule, read)
        else:
            values[node.name] = rule(place, node.layer, *read)
    for place in (Place(coupling, node, variables, (), None) for node in network if coupled.of(node.layer) is None):
        place.freeze_parameters()
    for reference in [network.output, *(name for objective in objectives for name in objective.inputs)]:
        value = take(values, reference)
        for labels in value.values() if isinstance(value, Mapping) else [value]:
            channels.freeze(labels, OUTPUT)
    return coupling


def _left_alone(place: Place, rule: Rule | None, read: Sequence[Any]) -> Any:
    """Freeze the inputs and output of a node."""
    if rule is None:
        return place.fixed(*read)
    y = rule(place, place.node.layer, *read)
    written = [size.labels for size in place.coupling.sizes if size.node == place.node.name]
    for labels in (*read, *written):
        place.freeze(labels, f"the initial values of {place.node} are given as numbers")
    return y


def _is_written_out(layer: Layer) -> bool:
    """Return whether initial values of a layer are given as numbers in its configuration, in the layer's shape."""
    return any(isinstance(value, Values) for value in vars(layer).values())


def labelled(channels: Channels, spec: Any, reason: str) -> Any:
    """Return frozen labels for the last axis of a value, or of each part of it."""
    if isinstance(spec, Mapping):
        return {name: labelled(channels, part, reason) for name, part in spec.items()}
    labels = channels.new(int(spec.shape[-1]) if len(spec.shape) > 1 else 1)
    channels.freeze(labels, reason)
    return labels


def grouped(at: Place, x: Labels, groups: int) -> Labels:
    """Couple channels at the same position of each group, so that groups stay equal; return the first group's."""
    rows = x.reshape(groups, -1)
    at.channels.join(*rows)
    first: Labels = rows[0]
    return first


def tiled(labels: Labels, times: int) -> Labels:
    """Return repeated copies of labels."""
    return np.tile(labels, times)
