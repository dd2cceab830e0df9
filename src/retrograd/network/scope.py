"""The graph under construction: nodes, entries as written by the user, and the scopes in which entries expand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from retrograd.base.errors import ConfigError
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, unwritten
from retrograd.network.layer import Layer

blocks: Registry[Block] = Registry("block")


@dataclass(frozen=True)
class Node:
    """One operation of the graph: its path, its layer, and the names of the nodes or batch columns it reads.

    `share` takes parameters from other nodes: `(("weight", "embed/weight"),)`, or `"embed/weight.T"` for the
    transpose; their gradients add up on the owner. A `frozen` node is not trained. Nodes of one `recompute` group, the
    path of a block, keep only the group's inputs for backward, and are run again there.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]
    share: tuple[tuple[str, str], ...] = ()
    frozen: bool = False
    recompute: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.layer.kind})"


@dataclass(frozen=True)
class Entry:
    """A layer or block as written by the user, with the settings common to all entries."""

    layer: Layer | Block
    name: str | None = None
    inputs: tuple[str, ...] | None = None
    share: tuple[tuple[str, str], ...] = ()
    frozen: bool = False
    recompute: bool = False
    input_names: tuple[str, ...] = ()  # the layer's names for its inputs, if it names them


@dataclass(frozen=True)
class Block(Settings):
    """A function that expands into nodes with paths below its name."""

    stacked: ClassVar[bool] = False  # a stack of numbered parts, each a separate `recompute` group

    def expand(self, scope: Scope, *inputs: str) -> str:
        """Add nodes to the scope and return the reference of the block's output."""
        raise unwritten(self, "expand(self, scope, *inputs)", "which adds nodes and returns its output's name")


def named(layer: Layer | Block, name: str, *, inputs: Mapping[str, str] | Sequence[str] | str | None = None,
          share: Mapping[str, str] | None = None, frozen: bool = False, recompute: bool = False) -> Entry:  # fmt: skip
    """Return an entry with a name, and optionally its own inputs, shared parameters and so on.

    inputs: in the layer's order, or by the layer's names for them: `{"query": "x", "mask": "seen"}`.
    recompute: backward runs its nodes again instead of keeping their tapes; a stack is recomputed layer by layer.
    """
    names = tuple(inputs) if isinstance(inputs, Mapping) else ()
    inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs.values()) if isinstance(inputs, Mapping) else inputs
    chosen = None if inputs is None else tuple(inputs)
    return Entry(layer, name, chosen, tuple((share or {}).items()), frozen, recompute, names)


NUMBERED = re.compile(r"_\d+$")  # the name of an input for one layer of a stack
MAX_ENTRIES = 10_000  # in an expanded network: far more than any known network has, and built in a second or two


class Size:
    """The number of entries a network has expanded to; without a limit, nested `repeat` could fill the memory."""

    def __init__(self) -> None:
        self.entries = 0

    def add(self, more: int, where: str) -> None:
        """Count entries.

        Raises:  ConfigError beyond `MAX_ENTRIES`
        """
        self.entries += more
        if self.entries > MAX_ENTRIES:
            message = f"the network would have more than {MAX_ENTRIES:,} layers"
            raise ConfigError(message, where=where, cure="repeat fewer layers, or repeat less often")


class Scope:
    """A scope of the graph under construction: the paths of its nodes start with its prefix.

    Names are looked up from the innermost scope outwards; a name unknown to all scopes is a batch column.
    """

    def __init__(
        self,
        nodes: list[Node],
        prefix: str = "",
        parent: Scope | None = None,
        frozen: bool = False,
        recompute: str | None = "",
    ) -> None:
        self.nodes, self.prefix, self.parent, self.frozen = nodes, prefix, parent, frozen
        self.recompute = recompute  # the group of its nodes; None: each scope directly below is a group
        self.size: Size = parent.size if parent else Size()
        self.made: dict[int, list[str]] = (
            parent.made if parent else {}
        )  # a layer or block as written -> the paths it became
        self._outputs: dict[str, str] = {}  # an entry's name -> the reference of its output
        self._counts: dict[str, int] = {}

    def chain(self, entries: Iterable[Entry | Layer | Block], *inputs: str) -> str:
        """Add entries in order, each reading the previous one; return the last output."""
        for entry in entries:
            inputs = (self.add(entry, *inputs),)
        return inputs[0]

    def add(self, entry: Entry | Layer | Block, *inputs: str, name: str | None = None) -> str:
        """Add one entry and return the reference of its output."""
        if not isinstance(entry, Entry):
            entry = Entry(entry)
        name = self._free_name(entry.layer, name or entry.name)
        self.size.add(1, self.prefix + name)
        self.made.setdefault(id(entry.layer), []).append(self.prefix + name)
        if entry.inputs is not None:
            inputs = tuple(self.resolve(reference) for reference in entry.inputs)
        if isinstance(entry.layer, Block):
            if entry.input_names:
                raise ConfigError("a block takes its inputs by order", where=f"{self.prefix}{name}: inputs",
                                  cure="give them as a list")  # fmt: skip
            group = self._group(name)
            if entry.recompute and not group:
                group = None if entry.layer.stacked else self.prefix + name
            below = Scope(self.nodes, f"{self.prefix}{name}/", self, self.frozen or entry.frozen, group)
            self._outputs[name] = entry.layer.expand(below, *inputs)
        elif entry.layer.is_stack:
            self._outputs[name] = self._add_stack(entry, name, inputs)
        else:
            self._outputs[name] = self._add_layer(entry, self.prefix + name, inputs)
        return self._outputs[name]

    def chain_below(self, name: str, entries: Iterable[Entry | Layer | Block], *inputs: str) -> str:
        """Add a chain of entries in a new scope below this one."""
        self.size.add(1, self.prefix.removesuffix("/"))
        below = Scope(self.nodes, f"{self.prefix}{name}/", self, self.frozen, self._group(name))
        self._outputs[name] = below.chain(entries, *inputs)
        return self._outputs[name]

    def resolve(self, name: str) -> str:
        """Return the reference for a name in `inputs`: an entry's output, a node, or a column."""
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
        activation = getattr(layer.wrapped or layer, "activation", None)
        if activation is not None:  # a separate node, so that its delta can be seen
            layer = layer.having(activation=None)
        if entry.input_names:
            layer = layer.reading(entry.input_names)
        frozen = self.frozen or entry.frozen
        group = self.recompute or (path if entry.recompute else "")
        self.nodes.append(Node(path, layer, inputs, entry.share, frozen, group))
        if activation is None:
            return path
        self.nodes.append(Node(f"{path}/{activation.kind}", activation, (path,), (), frozen, group))
        return self.nodes[-1].name

    def _add_stack(self, entry: Entry, name: str, inputs: tuple[str, ...]) -> str:
        """Add the parts of a stack; those of its own kind also read its further inputs."""
        layer = entry.layer
        assert isinstance(layer, Layer)
        if entry.share:
            raise ConfigError("a stack has no parameters to share", where=f"{self.prefix}{name}: share",
                              cure="write its layers as separate entries")  # fmt: skip
        self.size.add(getattr(layer, "layers", 0), self.prefix + name)
        below = Scope(self.nodes, f"{self.prefix}{name}/", self, self.frozen or entry.frozen, self._group(name))
        x, *others = inputs
        names = entry.input_names
        parts = layer.parts()
        count, read = 0, set(names[:1])
        for part in parts:
            is_numbered = type(part) is type(layer)
            count += is_numbered
            part_name = str(count) if is_numbered else f"{part.kind}_{count}"
            if not is_numbered:
                x = below.add(Entry(part, part_name, recompute=entry.recompute), x)
                continue
            chosen = [(called, other) for called, other in zip(names[1:], others, strict=False)
                      if not NUMBERED.search(called) or called.endswith(f"_{count}")]  # fmt: skip
            read |= {called for called, _ in chosen}
            called_here = (*names[:1], *(called.removesuffix(f"_{count}") for called, _ in chosen))
            further = [other for _, other in chosen] if names else others
            x = below.add(Entry(part, part_name, recompute=entry.recompute, input_names=called_here), x, *further)
            if part is not parts[-1] and getattr(part, "output", "") == "all":
                x = f"{x}.sequence"
        if unread := [called for called in names if called not in read]:
            raise ConfigError(f"none of the {count} layers reads {', '.join(unread)}",
                              where=f"{self.prefix}{name}: inputs")  # fmt: skip
        return x

    def _group(self, name: str) -> str | None:
        """Return the group of nodes added below a name of this scope."""
        return self.prefix + name if self.recompute is None else self.recompute

    def _free_name(self, layer: Layer | Block, name: str | None) -> str:
        if name is None:
            kind = getattr(layer, "registered_name", type(layer).__name__.lower())
            self._counts[kind] = self._counts.get(kind, 0) + 1
            name = f"{kind}_{self._counts[kind]}"
        elif not name or set(name) & set("./ "):
            raise ConfigError(f"the name '{name}' contains a dot, slash or space", where="name")
        if name in self._outputs:
            raise ConfigError(f"two entries are called '{name}'", where=self.prefix + name, cure="rename one")
        return name
