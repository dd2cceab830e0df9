"""Changing one setting of a configuration by its path, as in `training.epochs=5`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.base.annotations import Custom, Registered, unwrap
from retrograd.base.document import parse_value
from retrograd.base.errors import UsageError
from retrograd.base.schema import Settings, fields, settings_class
from retrograd.network.entries import parse_entries
from retrograd.network.layer import layers
from retrograd.network.scope import blocks

ENTRIES = "entries"  # a list of network entries, or one of them
Place = type[Settings] | Registered | str | None  # what the schema says about a value; None: nothing relevant here


def with_change(values: Mapping[str, Any], change: str, cls: type[Settings]) -> dict[str, Any]:
    """Return the mapping for a settings class with one `path.to.key=value` set; list entries count from 0.

    A shorthand value is expanded and kept: `data: digits` with `data.scale=none` becomes
    `data: {builtin: digits, scale: none}`.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise UsageError(f"expected KEY=VALUE, found '{change}'", where="--set", cure="as in training.epochs=5")
    return with_value(values, path, parse_value(text, f"--set {path}"), cls)


def with_value(values: Mapping[str, Any], path: str, value: Any, cls: type[Settings]) -> dict[str, Any]:
    """Return the mapping for a settings class with the value at a path set (see `with_change`)."""
    changed: dict[str, Any] = _set(values, cls, path.split("."), value, path)
    return changed


def _set(current: Any, place: Place, path: list[str], value: Any, whole: str) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(current, list):
        if not key.isdigit() or int(key) >= len(current):
            raise UsageError(f"'{whole}': no list entry {key} (have 0 to {len(current) - 1})", where="--set")
        return [_set(item, place, rest, value, whole) if i == int(key) else item for i, item in enumerate(current)]
    siblings = _in_full(current, place, key)
    return {**siblings, key: _set(siblings.get(key), _inside(place, key), rest, value, whole)}


def _in_full(current: Any, place: Place, key: str) -> dict[str, Any]:
    """Return the mapping that a value is shorthand for, so that a key can be set in it."""
    if isinstance(current, Mapping) or current is None:
        return dict(current or {})
    if isinstance(place, type):
        return {fields(place)[0].name: current} if fields(place) else {}
    return (
        {current: None} if current == key or place == ENTRIES else {}
    )  # a different registered name replaces the first


def _inside(place: Place, key: str) -> Place:
    """Return what the schema says about the value under a key."""
    if not isinstance(place, type):
        named = (place.registry,) if isinstance(place, Registered) else (layers, blocks) if place == ENTRIES else ()
        return next((registry[key] for registry in named if key in registry), None)
    annotation = next((field.annotation for field in fields(place) if field.name == key), None)
    base, marks = unwrap(annotation)
    for mark in marks:
        if isinstance(mark, Registered):
            return mark
        if isinstance(mark, Custom):
            return ENTRIES if mark.parse is parse_entries else None
    nested: type[Settings] | None = settings_class(base)
    return nested
