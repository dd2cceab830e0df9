"""Tensors in the arguments and results of functions: nested tuples, lists and mappings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield all tensors in order."""
    if isinstance(value, Tensor):
        yield value
        return
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ():
        yield from tensors(part)


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor."""
    return value if isinstance(value, Tensor) else next(tensors(value), None)
