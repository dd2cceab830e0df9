"""Prefetching: the next results are computed in the background while the caller uses the current one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from retrograd.data.images.pixels import PixelColumn

AHEAD = 2  # results waiting besides the one in use, which bounds the memory used

T = TypeVar("T")
R = TypeVar("R")


def ahead(make: Callable[[T], R], items: Iterable[T], depth: int = AHEAD) -> Iterator[R]:
    """Yield make(item) for each item, in order; up to `depth` results are computed ahead, one at a time.

    An error in `make` is raised in place of its result. A caller that stops early waits for at most one result.
    """
    rest = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as background:
        waiting: deque[Future[R]] = deque(background.submit(make, item) for item in islice(rest, depth))
        try:
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(background.submit(make, item) for item in islice(rest, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()


def is_streamed(columns: Mapping[str, Any]) -> bool:
    """Return whether rows must be decoded when taken: one of the columns has images that are not in memory."""
    return any(isinstance(column, PixelColumn) for column in columns.values())
