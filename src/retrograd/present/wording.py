"""Lists of names in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def some_of(names: Sequence[object], most: int = 10) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def listing(thing: str, names: Sequence[object]) -> str:
    """Return `column 'a'`, or `columns 'a', 'b'`."""
    shown = some_of([f"'{name}'" for name in names])
    return f"{thing} {shown}" if len(names) == 1 else f"{thing}s {shown}"
