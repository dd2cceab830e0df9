"""Lists of names in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def some_of(names: Sequence[object], most: int = 10) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
