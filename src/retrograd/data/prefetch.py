"""Prefetching: the next portions are made in the background while the caller works on the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from retrograd.data.images.pixels import PixelColumn

AHEAD = 2  # portions that wait, besides the one in use: the bound of the memory that working ahead takes

T = TypeVar("T")
R = TypeVar("R")


def ahead(make: Callable[[T], R], items: Iterable[T], depth: int = AHEAD) -> Iterator[R]:
    """Yield make(item) for each item, in order; up to `depth` results are made ahead, one after the other.

    An error of `make` is raised in place of its result. A caller that stops early waits for one result at most.
    """
    rest = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as background:
        waiting: deque[Future[R]] = deque(background.submit(make, item) for item in islice(rest, depth))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(background.submit(make, item) for item in islice(rest, 1))
                yield made
        finally:
            for future in waiting:
                future.cancel()


def is_streamed(columns: Mapping[str, Any]) -> bool:
    """Return whether getting rows of these columns takes work: one of them has images that are not in memory."""
    return any(isinstance(column, PixelColumn) for column in columns.values())
