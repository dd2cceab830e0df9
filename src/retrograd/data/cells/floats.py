"""In which floating-point numbers data are read: float32, or float64 for a run that computes in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

_FLOAT: ContextVar[Any] = ContextVar("float", default=np.float32)


def floats() -> Any:
    """Return the type of the numbers that columns are made of."""
    return _FLOAT.get()


@contextmanager
def reading_in(precision: str) -> Iterator[None]:
    """Let the data that are read inside keep the digits that a precision has."""
    before = _FLOAT.set(np.float64 if precision == "float64" else np.float32)
    try:
        yield
    finally:
        _FLOAT.reset(before)
