"""Deferred readings, which cost the loop only a copy: their numbers are computed on demand."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Generic, TypeVar

import torch
from torch import Tensor

FIRST, LAST = 4, 8  # readings kept from the beginning, and from the end, as many as a median needs
SMALL = 1 << 16  # maximum number of entries that are copied; for larger tensors, the numbers are computed at once

T = TypeVar("T")


class Later(Generic[T]):
    """The first and the last readings of a kind. Readings whose result is None are skipped."""

    def __init__(self, last: int = LAST) -> None:
        self._first: list[_Reading[T]] = []
        self._last: deque[_Reading[T]] = deque(maxlen=last)

    def add(self, work: Callable[[], T | None]) -> None:
        """Add a reading to be computed later."""
        (self._first if len(self._first) < FIRST else self._last).append(_Reading(work))

    def all(self) -> list[T]:
        """Return the results in order."""
        with torch._C.DisableTorchFunction(), torch.no_grad():
            results = [reading.result() for reading in chain(self._first, self._last)]
        return [result for result in results if result is not None]

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())

    def __getitem__(self, at: int) -> T:
        return self.all()[at]


class _Reading(Generic[T]):
    def __init__(self, work: Callable[[], T | None]) -> None:
        self.work: Callable[[], T | None] | None = work
        self.value: T | None = None

    def result(self) -> T | None:
        if self.work is not None:
            self.value, self.work = self.work(), None
        return self.value


def copied(tensor: Tensor, work: Callable[[Tensor], T]) -> Callable[[], T]:
    """Return a function that does the work later on a copy of a small tensor; on a large one it is done at once."""
    if tensor.numel() <= SMALL:
        copy = tensor.detach().clone()
        return lambda: work(copy)
    with torch.no_grad():
        result = work(tensor.detach())
    return lambda: result
