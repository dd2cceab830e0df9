"""Names and values in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from retrograd.base.plain_text import short_powers


def some_of(names: Sequence[object], most: int = 10) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def listing(thing: str, names: Sequence[object]) -> str:
    """Return `column 'a'`, or `columns 'a', 'b'`."""
    shown = some_of([f"'{name}'" for name in names])
    return f"{thing} {shown}" if len(names) == 1 else f"{thing}s {shown}"


def in_yaml(value: Any) -> str:
    """Return a plain value in YAML's flow notation: `{normal: {std_deviation: 0.01}}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(in_yaml, value)) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return short_powers(str(value)) if isinstance(value, float) else str(value)
