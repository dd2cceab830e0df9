"""Completing a graph before it can run: initializers for open weights, numbers for symbolic widths."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from retrograd.base.errors import ShapeError
from retrograd.base.schema import Settings, fields
from retrograd.network.initializers import GlorotUniform, initializers
from retrograd.network.layer import FROM_DATA, Activation, Layer
from retrograd.network.scope import Entry, Node


def choose_initializers(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Give every weight without an initializer the one that suits the activation after it."""
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for reference in node.inputs:
            readers.setdefault(reference.partition(".")[0], []).append(node)

    def rule_after(name: str) -> str | None:
        for reader in readers.get(name, ()):
            if reader.layer.keeps_scale:
                if rule := rule_after(reader.name):
                    return rule
            elif isinstance(reader.layer, Activation):
                return reader.layer.initializer
        return None

    def finish(node: Node) -> Node:
        if getattr(node.layer.wrapped or node.layer, "weight", ...) is not None:
            return node
        rule = rule_after(node.name)
        initial = initializers[rule]() if rule else GlorotUniform()
        return dataclasses.replace(node, layer=node.layer.having(weight=initial))

    return tuple(finish(node) for node in nodes)


def mapped(thing: Any, change: Callable[[Any], Any]) -> Any:
    """Apply `change` to the contents of an entry, a tuple or a Settings object; the same object if nothing changed."""
    if isinstance(thing, Entry):
        return dataclasses.replace(thing, layer=change(thing.layer))
    if isinstance(thing, tuple):
        return tuple(mapped(item, change) if isinstance(item, (tuple, Entry)) else change(item) for item in thing)
    if not isinstance(thing, Settings):
        return thing
    values = {field.name: getattr(thing, field.name) for field in fields(type(thing))}
    changed = {n: mapped(v, change) if isinstance(v, (tuple, Entry)) else change(v) for n, v in values.items()}
    changed = {name: value for name, value in changed.items() if value is not values[name] and value != values[name]}
    return dataclasses.replace(thing, **changed) if changed else thing


def fill(thing: Any, sizes: Mapping[str, int]) -> Any:
    """Replace symbolic widths in a layer, block or entry at any depth."""
    if not isinstance(thing, (Settings, Entry)):
        return thing
    if isinstance(thing, Layer):
        widths = [field.name for field in fields(type(thing)) if field.annotation in FROM_DATA]
        known = {name: sizes[getattr(thing, name)] for name in widths if getattr(thing, name) in sizes}
        if thing.wrapped is not None:
            known["layer"] = fill(thing.wrapped, sizes)
        return dataclasses.replace(thing, **known) if known else thing
    return mapped(thing, lambda inner: fill(inner, sizes))


def check_filled(node: Node) -> None:
    """Raise ShapeError if a width is still symbolic."""
    layer = node.layer.wrapped or node.layer
    for field in fields(type(layer)):
        if field.annotation in FROM_DATA and isinstance(getattr(layer, field.name), str):
            cure = "write a number; `classes` needs labels as the target, `targets` needs quantities"
            raise ShapeError(f"the data do not define '{getattr(layer, field.name)}'", where=field.name, cure=cure)
