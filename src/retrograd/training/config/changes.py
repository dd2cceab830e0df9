"""One setting of a configuration changed by its path, as in `training.epochs=5`."""

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

ENTRIES = "entries"  # stands for a list of entries, and for one of them
Place = type[Settings] | Registered | str | None  # what the schema says of a value; None: nothing that matters here


def with_change(values: Mapping[str, Any], change: str, cls: type[Settings]) -> dict[str, Any]:
    """Return the mapping for settings of a class with one `path.to.key=value` set; list entries count from 0.

    A value that stands for settings in short stays beside the new one: `data: digits` and `data.scale=none` are
    `data: {builtin: digits, scale: none}`.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise UsageError(f"expected KEY=VALUE, found '{change}'", where="--set", cure="as in training.epochs=5")
    changed: dict[str, Any] = _set(values, cls, path.split("."), parse_value(text), path)
    return changed


def _set(held: Any, place: Place, path: list[str], value: Any, whole: str) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(held, list):
        if not key.isdigit() or int(key) >= len(held):
            raise UsageError(f"'{whole}': there is no list entry {key} (0 to {len(held) - 1})", where="--set")
        return [_set(item, place, rest, value, whole) if i == int(key) else item for i, item in enumerate(held)]
    kept = _in_full(held, place, key)
    return {**kept, key: _set(kept.get(key), _inside(place, key), rest, value, whole)}


def _in_full(held: Any, place: Place, key: str) -> dict[str, Any]:
    """Return the mapping that a value stands for, if a key is to be set in it."""
    if isinstance(held, Mapping) or held is None:
        return dict(held or {})
    if isinstance(place, type):
        return {fields(place)[0].name: held} if fields(place) else {}
    return {held: None} if held == key or place == ENTRIES else {}  # another name takes the place of the first


def _inside(place: Place, key: str) -> Place:
    """Return what the schema says of the value under a key."""
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
