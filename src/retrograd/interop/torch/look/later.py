"""Readings that cost the loop a copy only: their numbers are worked out when somebody asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Generic, TypeVar

import torch
from torch import Tensor

FIRST, LAST = 4, 8  # readings: the beginning, and what a median needs
SMALL = 1 << 16  # entries that are copied; of larger tensors the numbers are worked out at once

T = TypeVar("T")


class Later(Generic[T]):
    """The first readings of a kind and the last. A reading that comes to None is left out."""

    def __init__(self, last: int = LAST) -> None:
        self._first: list[_Reading[T]] = []
        self._last: deque[_Reading[T]] = deque(maxlen=last)

    def add(self, work: Callable[[], T | None]) -> None:
        """Add what will be worked out."""
        (self._first if len(self._first) < FIRST else self._last).append(_Reading(work))

    def all(self) -> list[T]:
        """Return them, in order."""
        with torch._C.DisableTorchFunction(), torch.no_grad():
            found = [each.result() for each in chain(self._first, self._last)]
        return [each for each in found if each is not None]

    def __iter__(self) -> Iterator[T]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self.all())

    def __getitem__(self, at: int) -> T:
        return self.all()[at]


class _Reading(Generic[T]):
    def __init__(self, work: Callable[[], T | None]) -> None:
        self.work: Callable[[], T | None] | None = work
        self.found: T | None = None

    def result(self) -> T | None:
        if self.work is not None:
            self.found, self.work = self.work(), None
        return self.found


def copied(tensor: Tensor, work: Callable[[Tensor], T]) -> Callable[[], T]:
    """Return what will do the work on a copy of a small tensor, or has done it on a large one."""
    if tensor.numel() <= SMALL:
        copy = tensor.detach().clone()
        return lambda: work(copy)
    with torch.no_grad():
        found = work(tensor.detach())
    return lambda: found
