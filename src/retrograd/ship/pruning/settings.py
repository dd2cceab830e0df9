"""Which entry of a configuration a node's settings come from; one entry may make several nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from retrograd.network.finish import mapped
from retrograd.network.layer import Layer
from retrograd.network.layers.attention.multi_head_attention import MultiHeadAttention
from retrograd.network.network import Network
from retrograd.network.scope import Block, Entry, Node
from retrograd.network.transformer import FeedForward, Transformer


class Origin(NamedTuple):
    """A setting of a layer or block as the user wrote it; `thing` is its identity."""

    thing: int
    setting: str


def origins(network: Network) -> dict[tuple[str, str], Origin]:
    """Return the origins of node settings that count channels, except those from unknown blocks."""
    found: dict[tuple[str, str], Origin] = {}
    for thing in things(network):
        for path in network.made(thing):
            for node in network:
                if node.name == path or node.name.startswith(f"{path}/"):
                    for setting, source in _made_by(thing, node, path).items():
                        found[node.name, setting] = Origin(id(thing), source)
    return found


def things(network: Network) -> Iterator[Any]:
    """Yield every layer and block of the entries, at any depth."""
    seen: list[Any] = []

    def visit(thing: Any) -> Any:
        if isinstance(thing, (Layer, Block)):
            seen.append(thing)
        return mapped(thing, visit) if isinstance(thing, (Block, Entry)) else thing

    for entry in network.entries:
        mapped(entry, visit)
    yield from {id(thing): thing for thing in seen}.values()


def _made_by(thing: Any, node: Node, path: str) -> dict[str, str]:
    """Return the settings of a node that a thing at a path determines: {setting of the node: setting of the thing}."""
    if isinstance(thing, Layer):  # itself, or part of its stack
        return (
            {field.name: field.name for field in dataclasses.fields(thing)} if type(node.layer) is type(thing) else {}
        )
    inner = node.name.removeprefix(f"{path}/").rpartition("/")[2]
    if not isinstance(thing, (FeedForward, Transformer)):
        return {}
    if isinstance(node.layer, MultiHeadAttention):
        return {name: name for name in ("units", "heads", "key_value_heads", "head_width")}
    return {"units": {"hidden": "hidden", "gate": "hidden", "output": "units"}.get(inner, "")}


def with_settings(network: Network, changes: Mapping[int, Mapping[str, Any]]) -> Network:
    """Return the network with changed settings of layers and blocks: {identity of a thing: {setting: value}}."""

    def change(thing: Any) -> Any:
        inner = mapped(thing, change) if isinstance(thing, (Block, Entry)) else thing
        own = changes.get(id(thing), {})
        return dataclasses.replace(inner, **own) if own else inner

    entries: tuple[Entry, ...] = tuple(mapped(entry, change) for entry in network.entries)
    return Network(*entries, inputs=network.inputs)
