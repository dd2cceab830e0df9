"""The order in which runs were started: a number in each, larger than those of its neighbours.

Clocks are set back, and one run dated 2300 would be the newest for ever; so the time decides only between equal
numbers, as copies have.
"""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrograd.base.errors import RetrogradError
from retrograd.record.events import Started, read_events
from retrograd.record.layout import EVENTS

CLOCKS_DIFFER = timedelta(days=1)  # between machines and zones; a run dated later than this is not believed


def next_number(root: Path) -> int:
    """Return a number larger than that of any run in a folder."""
    with contextlib.suppress(OSError):
        return 1 + max((_number(path) for path in root.iterdir()), default=0)
    return 1


def order_of(number: int, started: datetime | None, name: str) -> tuple[int, datetime, str]:
    """Return what runs are sorted by."""
    believed = started is not None and started <= datetime.now(UTC) + CLOCKS_DIFFER
    return number, started if started is not None and believed else datetime.min.replace(tzinfo=UTC), name


def _number(folder: Path) -> int:
    with contextlib.suppress(RetrogradError, OSError):
        first = next(iter(read_events(folder / EVENTS)), None)
        return first.number if isinstance(first, Started) else 0
    return 0
