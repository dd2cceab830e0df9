"""The graph: a flat, named, ordered list of nodes, and how entries (layers and blocks) expand into it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ConfigError, Problem, RetrogradError, ShapeError, did_you_mean
from retrograd.base.keys import fold_path
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, fields
from retrograd.network.initializers import GlorotUniform, initializers
from retrograd.network.layer import FROM_DATA, Activation, Context, Layer, Params, Spec, State

blocks: Registry[Block] = Registry("block")

DEFAULT_INPUT = "x"
TRANSPOSED = ".T"


@dataclass(frozen=True)
class Node:
    """One operation of the graph: its path, its layer, and the names of the nodes or batch columns it reads.

    `share` takes parameters from other nodes: `(("weight", "embed/weight"),)`, or `"embed/weight.T"` for the
    transpose; their gradients add up on the owner. A `frozen` node keeps its parameters.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    share: tuple[tuple[str, str], ...] = ()
    frozen: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({self.layer.kind})"


@dataclass(frozen=True)
class Entry:
    """A layer or block as the user wrote it, with what every entry may carry."""

    layer: Layer | Block
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    share: tuple[tuple[str, str], ...] = ()
    frozen: bool = False


@dataclass(frozen=True)
class Block(Settings):
    """A function that expands into nodes with paths below its name."""

    def expand(self, scope: Scope, *inputs: str) -> str:
        """Add nodes to the scope and return the reference of the block's output."""
        raise NotImplementedError(f"{type(self).__name__} has no expand")


class Variables(NamedTuple):
    """Parameters and state of a network, each {node: {name: array}}; nodes without any are absent."""

    params: dict[str, Params]
    state: dict[str, State]


def named(layer: Layer | Block, name: str, *, inputs: Sequence[str] | str | None = None,
          share: Mapping[str, str] | None = None, frozen: bool = False) -> Entry:  # fmt: skip
    """Return the entry of a layer or block that has a name, inputs of its own, or shared parameters."""
    inputs = (inputs,) if isinstance(inputs, str) else inputs
    return Entry(layer, name, None if inputs is None else tuple(inputs), tuple((share or {}).items()), frozen)


class Scope:
    """A place in the graph under construction: the paths of its nodes begin with its prefix.

    Names are looked up from the innermost scope outwards; a name that no scope knows is a batch column.
    """

    def __init__(self, nodes: list[Node], prefix: str = "", parent: Scope | None = None, frozen: bool = False) -> None:
        self.nodes, self.prefix, self.parent, self.frozen = nodes, prefix, parent, frozen
        self.made: dict[int, list[str]] = parent.made if parent else {}  # a layer as written -> the nodes it became
        self._outputs: dict[str, str] = {}  # an entry's name -> the reference of its output
        self._counts: dict[str, int] = {}

    def chain(self, entries: Iterable[Entry | Layer | Block], *inputs: str) -> str:
        """Add entries one after the other, each reading the one before; return the last output."""
        for entry in entries:
            inputs = (self.add(entry, *inputs),)
        return inputs[0]

    def add(self, entry: Entry | Layer | Block, *inputs: str, name: str | None = None) -> str:
        """Add one entry and return the reference of its output."""
        if not isinstance(entry, Entry):
            entry = Entry(entry)
        name = self._free_name(entry.layer, name or entry.name)
        if entry.inputs is not None:
            inputs = tuple(self.resolve(each) for each in entry.inputs)
        if isinstance(entry.layer, Block):
            below = Scope(self.nodes, f"{self.prefix}{name}/", self, self.frozen or entry.frozen)
            self._outputs[name] = entry.layer.expand(below, *inputs)
        else:
            self._outputs[name] = self._add_layer(entry, self.prefix + name, inputs)
        return self._outputs[name]

    def within(self, name: str, expand: Callable[[Scope], str]) -> str:
        """Expand something in a scope below this one."""
        self._outputs[name] = expand(Scope(self.nodes, f"{self.prefix}{name}/", self, self.frozen))
        return self._outputs[name]

    def resolve(self, name: str) -> str:
        """Return the reference that a name in `inputs` stands for: an entry's output, a node, or a column."""
        name, dot, part = name.partition(".")
        scope: Scope | None = self
        while scope is not None:
            if name in scope._outputs:
                return scope._outputs[name] + dot + part
            scope = scope.parent
        return name + dot + part

    def _add_layer(self, entry: Entry, path: str, inputs: tuple[str, ...]) -> str:
        layer = entry.layer
        assert isinstance(layer, Layer)
        self.made.setdefault(id(layer), []).append(path)
        activation = getattr(layer, "activation", None)
        if activation is not None:  # a node of its own, so that its delta can be seen
            layer = dataclasses.replace(layer, activation=None)  # type: ignore[call-arg]
        self.nodes.append(Node(path, layer, inputs, entry.share, self.frozen or entry.frozen))
        if activation is None:
            return path
        self.nodes.append(Node(f"{path}/{activation.kind}", activation, (path,)))
        return self.nodes[-1].name

    def _free_name(self, layer: Layer | Block, given: str | None) -> str:
        if given is None:
            kind = getattr(layer, "registered_name", type(layer).__name__.lower())
            self._counts[kind] = self._counts.get(kind, 0) + 1
            given = f"{kind}_{self._counts[kind]}"
        elif not given or set(given) & set("./ "):
            raise ConfigError(f"the name '{given}' has a dot, slash or blank in it", where="name")
        if given in self._outputs:
            raise ConfigError(f"two entries are called '{given}'", where=self.prefix + given, cure="rename one")
        return given


class Network:
    """A graph of layers, each reading earlier nodes or columns of the batch.

    `Network(Dense(8), Tanh(), Dense(1))` is a chain that begins at the column `x`; entries made by `named` have
    names and inputs of their own. Nodes are in an order in which each follows what it reads.
    """

    def __init__(self, *entries: Entry | Layer | Block, inputs: Sequence[str] = (DEFAULT_INPUT,)) -> None:
        if not entries:
            raise ConfigError("a network needs at least one layer", where="network")
        nodes: list[Node] = []
        scope = Scope(nodes)
        self.entries, self.inputs = entries, tuple(inputs)
        self.output = scope.chain(entries, *inputs)
        self._scope = scope
        self.nodes = _choose_initializers(nodes)
        self.by_name = {node.name: node for node in self.nodes}
        self._check_shares()

    @property
    def columns(self) -> tuple[str, ...]:
        """The batch columns that the network reads, in order of first use."""
        read = (reference.partition(".")[0] for node in self.nodes for reference in node.inputs)
        return tuple(dict.fromkeys(name for name in read if name not in self.by_name))

    def resolve(self, name: str) -> str:
        """Return the reference for a name used outside the network: an entry's output, a node, or a column."""
        return self._scope.resolve(name)

    def fill(self, sizes: Mapping[str, int]) -> Network:
        """Return the network with `classes`, `targets` and the like replaced by sizes known from the data."""
        return Network(*(_fill(entry, sizes) for entry in self.entries), inputs=self.inputs)

    def filled_entries(self) -> tuple[Entry | Layer | Block, ...]:
        """Return the entries with the initialisers that were chosen for them written out."""

        def fill(thing: Any) -> Any:
            chosen = {self.by_name[path].layer.weight for path in self._scope.made.get(id(thing), ())
                      if hasattr(self.by_name[path].layer, "weight")}  # fmt: skip
            if len(chosen) == 1:  # a repeated layer can stand before different activations: then it stays open
                return dataclasses.replace(thing, weight=chosen.pop())
            return _mapped(thing, fill)

        return tuple(_mapped(entry, fill) for entry in self.entries)

    def init(self, key: Array, columns: Mapping[str, Any]) -> Variables:
        """Return first parameters (float32) and state. `columns` are arrays or specs, the batch axis included.

        The numbers depend on the key and on each node's name, not on the layers around it.
        """
        specs = {name: Spec(jnp.shape(column), column.dtype) for name, column in columns.items()}
        return jax.jit(lambda key: self._init(key, specs))(key)

    def specs(self, columns: Mapping[str, Any], train: bool = False) -> dict[str, Any]:
        """Return the shape and dtype of every node's output; nothing is computed."""
        specs = {name: Spec(jnp.shape(column), column.dtype) for name, column in columns.items()}
        jax.eval_shape(lambda key: self._init(key, specs, train), jax.random.key(0))  # fills specs on its way
        return {node.name: specs[node.name] for node in self.nodes}

    def _init(self, key: Array, specs: dict[str, Any], train: bool = False) -> Variables:
        self._check_columns(specs)
        params: dict[str, Params] = {}
        state: dict[str, State] = {}
        for node in self.nodes:
            inputs = [take(specs, reference) for reference in node.inputs]
            with located(node):
                _check_filled(node)
                first = node.layer.init(fold_path(key, node.name), *inputs)
                own = {name: value for name, value in first.params.items() if name not in dict(node.share)}
                if own:
                    params[node.name] = own
                if first.state:
                    state[node.name] = first.state
                specs[node.name] = jax.eval_shape(
                    lambda *given, node=node, s=first.state: node.layer.forward(
                        own_params(params, node), s, Context(train, key, node.name), *given
                    ).y,
                    *inputs,
                )
        return Variables(params, state)

    def _check_columns(self, specs: Mapping[str, Any]) -> None:
        both = [name for name in specs if name in self.by_name]
        if both:
            raise ConfigError(f"'{both[0]}' names a node and a column of the data", cure="rename the node")
        for node in self.nodes:
            for reference in node.inputs:
                name = reference.partition(".")[0]
                if name not in specs and name not in self.by_name:
                    known = [*specs, *self._scope._outputs, *self.by_name]
                    raise ConfigError(f"no earlier node or column is called '{name}'", where=f"{node}: inputs",
                                      cure=did_you_mean(name, known))  # fmt: skip

    def _check_shares(self) -> None:
        for node in self.nodes:
            for param, path in node.share:
                owner = path.removesuffix(TRANSPOSED).rpartition("/")[0]
                if owner not in self.by_name or dict(self.by_name[owner].share).get(path.rpartition("/")[2]):
                    raise ConfigError(f"there is no parameter '{path}' to share", where=f"{node}: share.{param}",
                                      cure=did_you_mean(owner, self.by_name))  # fmt: skip

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        lines = (f"  {node.name}: {node.layer} <- {', '.join(node.inputs)}" for node in self.nodes)
        return "Network(\n" + "\n".join(lines) + "\n)"


# ---------------------------------------------------------------------------------------------------- reading a graph


def take(values: Mapping[str, Any], reference: str) -> Any:
    """Return a node's output, or one part of it (`lstm.last`)."""
    name, _, part = reference.partition(".")
    value = values[name]
    if not part:
        return value
    if not isinstance(value, dict) or part not in value:
        raise ConfigError(f"'{name}' has no output called '{part}'", cure=did_you_mean(part, value if isinstance(value, dict) else ()))
    return value[part]


def own_params(params: Mapping[str, Params], node: Node) -> Params:
    """Return what a node's layer sees: its own parameters and those that it shares."""
    own = dict(params.get(node.name, {}))
    for name, path in node.share:
        owner, _, shared = path.removesuffix(TRANSPOSED).rpartition("/")
        value = params[owner].get(shared) if owner in params else None
        if value is None:
            raise ConfigError(f"there is no parameter '{path}' to share", where=f"{node}: share.{name}")
        own[name] = value.T if path.endswith(TRANSPOSED) else value
    return own


class located:  # noqa: N801  # reads as a sentence: `with located(node):`
    """Put the place (a node's path, an objective's name) in front of every error that a layer raises inside."""

    def __init__(self, place: object) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, RetrogradError) and not getattr(error, "located", False):
            moved = [Problem(f"{self.place}{': ' + p.where if p.where else ''}", p.message, p.cure) for p in error.problems]
            fresh = type(error)(moved)
            fresh.located = True  # type: ignore[attr-defined]
            raise fresh from None


# -------------------------------------------------------------------------------------------------- finishing a graph


def _choose_initializers(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Give every weight that was left open the initialiser that the activation behind it asks for."""
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for reference in node.inputs:
            readers.setdefault(reference.partition(".")[0], []).append(node)

    def behind(name: str) -> str | None:
        for reader in readers.get(name, ()):
            if reader.layer.keeps_scale:
                if found := behind(reader.name):
                    return found
            elif isinstance(reader.layer, Activation):
                return reader.layer.initializer
        return None

    def finish(node: Node) -> Node:
        if getattr(node.layer, "weight", ...) is not None:
            return node
        rule = behind(node.name)
        initial = initializers[rule]() if rule else GlorotUniform()
        return dataclasses.replace(node, layer=dataclasses.replace(node.layer, weight=initial))  # type: ignore[call-arg]

    return tuple(finish(node) for node in nodes)


def _mapped(thing: Any, change: Callable[[Any], Any]) -> Any:
    """Apply `change` to what an entry, a tuple or a Settings object holds; return the same object if nothing changed."""
    if isinstance(thing, Entry):
        return dataclasses.replace(thing, layer=change(thing.layer))
    if isinstance(thing, tuple):
        return tuple(_mapped(item, change) if isinstance(item, (tuple, Entry)) else change(item) for item in thing)
    if not isinstance(thing, Settings):
        return thing
    held = {field.name: getattr(thing, field.name) for field in fields(type(thing))}
    changed = {n: _mapped(v, change) if isinstance(v, (tuple, Entry)) else change(v) for n, v in held.items()}
    changed = {name: value for name, value in changed.items() if value is not held[name] and value != held[name]}
    return dataclasses.replace(thing, **changed) if changed else thing


def _fill(thing: Any, sizes: Mapping[str, int]) -> Any:
    """Replace symbolic widths in a layer, block or entry, however deep."""
    if not isinstance(thing, (Settings, Entry)):
        return thing
    if isinstance(thing, Layer):
        widths = [field.name for field in fields(type(thing)) if field.annotation in FROM_DATA]
        known = {name: sizes[getattr(thing, name)] for name in widths if getattr(thing, name) in sizes}
        return dataclasses.replace(thing, **known) if known else thing
    return _mapped(thing, lambda inner: _fill(inner, sizes))


def _check_filled(node: Node) -> None:
    for field in fields(type(node.layer)):
        if field.annotation in FROM_DATA and isinstance(getattr(node.layer, field.name), str):
            raise ShapeError(f"'{getattr(node.layer, field.name)}' is not known here", where=field.name,
                             cure="Network.fill gives it a number, or write one")  # fmt: skip

