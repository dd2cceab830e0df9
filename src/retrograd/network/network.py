"""The graph: a flat, named, ordered list of nodes, its initial values and its shapes."""

from __future__ import annotations

import copy
import functools
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from retrograd.base.compilation.programs import ONCE, Program, known_shapes
from retrograd.base.compilation.scalars import closed, opened
from retrograd.base.errors import ConfigError, ShapeError, did_you_mean
from retrograd.base.keys import fold_path, fold_paths
from retrograd.network.finish import check_filled, choose_initializers, fill, mapped
from retrograd.network.layer import Context, Forward, Init, Layer, Params, Spec, State, expect
from retrograd.network.located import located
from retrograd.network.scope import Block, Entry, Node, Scope

DEFAULT_INPUT = "x"
TRANSPOSED = ".T"


class Variables(NamedTuple):
    """Parameters and state of a network, each {node: {name: array}}; nodes without any are absent."""

    params: dict[str, Params]
    state: dict[str, State]


class Network:
    """A graph of layers, each reading earlier nodes or columns of the batch.

    `Network(Dense(8), Tanh(), Dense(1))` is a chain that starts at the column `x`; entries made by `named` have their
    own names and inputs. Nodes are ordered so that each follows its inputs.
    """

    def __init__(self, *entries: Entry | Layer | Block, inputs: Sequence[str] = (DEFAULT_INPUT,)) -> None:
        if not entries:
            raise ConfigError("a network needs at least one layer", where="network")
        nodes: list[Node] = []
        scope = Scope(nodes)
        self.entries = tuple(entry if isinstance(entry, Entry) else Entry(entry) for entry in entries)
        self.inputs = tuple(inputs)
        self.output = expanded(scope, self.entries, self.inputs)
        self._scope = scope
        self.nodes = choose_initializers(nodes)
        self.by_name = {node.name: node for node in self.nodes}

    @property
    def columns(self) -> tuple[str, ...]:
        """The batch columns that the network reads, in order of first use."""
        read = (reference.partition(".")[0] for node in self.nodes for reference in node.inputs)
        return tuple(dict.fromkeys(name for name in read if name not in self.by_name))

    def resolve(self, name: str) -> str:
        """Return the reference for a name used outside the network: an entry's output, a node, or a column."""
        return self._scope.resolve(name)

    def entry_index(self, path: str) -> int | None:
        """Return the index, from 0, of the entry that a node came from."""
        names = list(self._scope._outputs)
        name = path.partition("/")[0]
        return names.index(name) if name in names else None

    def made(self, thing: object) -> Sequence[str]:
        """Return the paths of the nodes, stacks and blocks that a layer or block expanded to."""
        return self._scope.made.get(id(thing), ())

    def line(self, path: str) -> str:
        """Return a node's path with the location of its entry in the configuration: `network.2 (dense_1)`."""
        index = self.entry_index(path)
        return path if index is None else f"network.{index} ({path})"

    def fill(self, sizes: Mapping[str, int]) -> Network:
        """Return the network with `classes`, `targets` etc. replaced by sizes known from the data."""
        return Network(*(fill(entry, sizes) for entry in self.entries), inputs=self.inputs)

    def filled_entries(self) -> tuple[Entry, ...]:
        """Return the entries with their chosen initializers written out."""

        def write_out(thing: Any) -> Any:
            expanded_layers = [self.by_name[path].layer for path in self.made(thing) if path in self.by_name]
            inside = [layer.wrapped or layer for layer in expanded_layers]
            chosen = {layer.weight for layer in inside if hasattr(layer, "weight")}
            if len(chosen) == 1:  # a repeated layer may precede different activations: then it is left open
                return thing.having(weight=chosen.pop())
            return mapped(thing, write_out)

        return tuple(mapped(entry, write_out) for entry in self.entries)

    def init(self, key: Array, columns: Mapping[str, Any], only: Container[str] | None = None) -> Variables:
        """Return initial parameters (float32) and state. `columns` are arrays or specs, including the batch axis.

        `only`: for these nodes. The numbers depend on the key and on each node's name, not on the layers around it.
        """
        specs = self._all_specs(_frozen(columns), train=False)
        part = self if only is None else self.with_nodes(tuple(node for node in self.nodes if node.name in only))
        inputs = (tuple(take(specs, reference) for reference in node.inputs) for node in part.nodes)
        leaves, form = jax.tree.flatten(tuple(inputs))
        specs_read = (tuple(map(_few_rows, leaves)), form)
        drawn: Variables = Program(_first_values, part, specs_read, reads_numbers=False, options=ONCE)(
            fold_paths(key, [node.name for node in part.nodes])
        )
        return drawn

    def specs(self, columns: Mapping[str, Any], train: bool = False) -> dict[str, Any]:
        """Return the shape and dtype of every node's output; nothing is computed."""
        specs = self._all_specs(_frozen(columns), train)
        return {node.name: specs[node.name] for node in self.nodes}

    def _all_specs(self, columns: tuple[tuple[str, Any], ...], train: bool) -> dict[str, Any]:
        try:
            return _specs(_Alike(self), columns, train)
        except TypeError:  # a user-defined layer without a hash
            return _specs.__wrapped__(_Alike(self), columns, train)

    def _init(self, key: Array, specs: dict[str, Any], train: bool = False) -> Variables:
        self._check_columns(specs)
        params: dict[str, Params] = {}
        state: dict[str, State] = {}
        for node in self.nodes:
            with located(node):
                inputs = [take(specs, reference) for reference in node.inputs]
            with located(node, dict(zip(node.inputs, inputs, strict=True))):
                check_filled(node)
                first = node.layer.init(fold_path(key, node.name), *inputs)
                check_shares(node, first.params, params)
                _keep(node, first, params, state)
                specs[node.name] = jax.eval_shape(partial(_output, node, first.state, train), params, key, *inputs)
        return Variables(params, state)

    def _check_columns(self, specs: Mapping[str, Any]) -> None:
        both = [name for name in specs if name in self.by_name]
        if both:
            raise ConfigError("is both a node and a column of the data", where=both[0], cure="rename the node")
        known = set(specs)
        for node in self.nodes:
            for reference in node.inputs:
                name = reference.partition(".")[0]
                if name not in known:
                    entries = {entry for entry, output in self._scope._outputs.items() if output in known}
                    raise ConfigError(f"no earlier node or column is called '{name}'", where=f"{node}: inputs",
                                      cure=did_you_mean(name, known | entries))  # fmt: skip
            known.add(node.name)

    def opened(self, values: list[float], layers: dict[tuple[str, int], Layer] | None = None) -> Network:
        """Return the network with scalars for the open numbers of its layers, whose values are appended to `values`.

        Networks that share `layers` have the same scalars in common nodes: those with the same name and layer, by
        identity.
        """
        layers = {} if layers is None else layers
        for node in self.nodes:
            if (node.name, id(node.layer)) not in layers:
                layers[node.name, id(node.layer)] = opened(node.layer, values)
        return self.with_nodes(tuple(replace(node, layer=layers[node.name, id(node.layer)]) for node in self.nodes))

    def closed(self) -> tuple[Any, ...]:
        """Return a key of the computation: the nodes without their open numbers."""
        return tuple(replace(node, layer=closed(node.layer)) for node in self.nodes)

    def with_nodes(self, nodes: tuple[Node, ...]) -> Network:
        """Return the network with other nodes."""
        other = copy.copy(self)
        other.nodes, other.by_name = nodes, {node.name: node for node in nodes}
        return other

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        lines = (f"  {node.name}: {node.layer} <- {', '.join(node.inputs)}" for node in self.nodes)
        return "Network(\n" + "\n".join(lines) + "\n)"


class _Alike:
    """A network that equals all with the same node shapes: for another seed or rate nothing is traced again."""

    def __init__(self, network: Network) -> None:
        self.network, self.key = network, (network.closed(), network.inputs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Alike) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@functools.lru_cache(maxsize=64)
def _specs(alike: _Alike, columns: tuple[tuple[str, Any], ...], train: bool) -> dict[str, Any]:
    def trace() -> dict[str, Any]:
        specs = dict(columns)
        key = jax.eval_shape(lambda: jax.random.key(0))
        jax.eval_shape(lambda key: alike.network._init(key, specs, train), key)  # fills specs as a side effect
        return specs

    specs: dict[str, Any] = known_shapes(trace, alike.key, columns, train)
    return specs


def expanded(scope: Scope, entries: Sequence[Entry], inputs: tuple[str, ...]) -> str:
    """Add the entries to a scope in order, and return the last output; an error names its entry."""
    for i, entry in enumerate(entries):
        try:
            inputs = (scope.add(entry, *inputs),)
        except ConfigError as error:
            raise type(error)([p._replace(where=f"network.{i}: {p.where}") for p in error.problems]) from None
    return inputs[0]


def _frozen(columns: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((name, Spec(jnp.shape(column), column.dtype)) for name, column in columns.items()))


def _keep(node: Node, first: Init, params: dict[str, Params], state: dict[str, State]) -> None:
    """Add a node's initial values to those of the network, except for shared parameters, which another node owns."""
    node_params = {name: value for name, value in first.params.items() if name not in dict(node.share)}
    if node_params:
        params[node.name] = node_params
    if first.state:
        state[node.name] = first.state


def _first_values(network: Network, specs: tuple[tuple[Spec, ...], Any], keys: Array) -> Variables:
    """Draw the initial values of all nodes; `specs` are those of their inputs, flattened, and their structure.

    Equal layers with equal inputs are drawn in one loop: XLA's compile time grows with the number of draws it sees.
    """
    leaves, form = specs
    inputs = jax.tree.unflatten(form, leaves)
    alike: dict[Any, list[int]] = {}
    for i, node in enumerate(network):
        alike.setdefault(_hashed(node.layer, inputs[i]), []).append(i)
    firsts: dict[int, Init] = {}
    for places in alike.values():
        init = partial(network.nodes[places[0]].layer.init)
        if len(places) == 1:
            firsts[places[0]] = init(keys[places[0]], *inputs[places[0]])
            continue
        drawn = lax.map(lambda key, init=init, specs=inputs[places[0]]: init(key, *specs), keys[np.array(places)])
        firsts |= {place: jax.tree.map(lambda leaf, i=i: leaf[i], drawn) for i, place in enumerate(places)}
    params: dict[str, Params] = {}
    state: dict[str, State] = {}
    for i, node in enumerate(network):
        _keep(node, firsts[i], params, state)
    return Variables(params, state)


def _hashed(layer: Layer, inputs: Any) -> Any:
    """Return a key for layers with identical draws; a user-defined layer without a hash gets its own."""
    key = (type(layer), layer, *jax.tree.leaves(inputs), jax.tree.structure(inputs))
    try:
        hash(key)
    except TypeError:
        return id(layer)
    return key


def _few_rows(spec: Spec) -> Spec:
    """Return a spec with at most two rows: initial values do not depend on their number."""
    return Spec((min(spec.shape[0], 2), *spec.shape[1:]), spec.dtype) if spec.shape else spec


def _output(node: Node, state: State, train: bool, params: Mapping[str, Params], key: Array, *inputs: Any) -> Any:
    ctx = Context(train, key, node.name)
    return expect(Forward, node.layer.forward(own_params(params, node), state, ctx, *inputs)).y


# ---------------------------------------------------------------------------------------------------- reading a graph


def take(values: Mapping[str, Any], reference: str) -> Any:
    """Return a node's output, or one part of it (`lstm.last`)."""
    name, _, part = reference.partition(".")
    value = values[name]
    if not part:
        return value
    if not isinstance(value, dict) or part not in value:
        raise ConfigError(
            f"'{name}' has no output called '{part}'", cure=did_you_mean(part, value if isinstance(value, dict) else ())
        )
    return value[part]


def own_params(params: Mapping[str, Params], node: Node) -> Params:
    """Return the parameters that a node's layer sees: its own and shared ones."""
    visible = dict(params.get(node.name, {}))
    for name, path in node.share:
        owner, _, shared = path.removesuffix(TRANSPOSED).rpartition("/")
        value = params[owner].get(shared) if owner in params else None
        assert value is not None, path  # ensured by `check_shares`
        visible[name] = value.T if path.endswith(TRANSPOSED) else value
    return visible


def check_shares(node: Node, tensors: Params, params: Mapping[str, Params]) -> None:
    """Raise unless a node's shared parameters exist under both names: in its own layer, and earlier in the network.

    `tensors` are the parameters of its layer on its own, `params` those owned by earlier nodes.
    """
    for name, path in node.share:
        if name not in tensors:
            raise ConfigError(
                f"the layer has no parameter '{name}'", where=f"share.{name}", cure=did_you_mean(name, tensors)
            )
        owner, _, shared = path.removesuffix(TRANSPOSED).rpartition("/")
        value = params.get(owner, {}).get(shared)
        if value is None:
            have = [f"{owner}/{key}" for owner, keys in params.items() for key in keys]
            near = did_you_mean(path.removesuffix(TRANSPOSED), have) or "no earlier node has any"
            cure = f"{near} (have: {', '.join(have)})" if near.startswith("did") else near
            raise ConfigError(f"there is no earlier parameter '{path}'", where=f"share.{name}", cure=cure)
        shape = value.shape[::-1] if path.endswith(TRANSPOSED) else value.shape
        if shape != tensors[name].shape:
            raise ShapeError(f"'{path}' has the shape {shape}, expected {tensors[name].shape}", where=f"share.{name}")
