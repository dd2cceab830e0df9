"""The floating-point type in which data are read: float32, or float64 for runs that compute in float64."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

Float = type[np.float32] | type[np.float64]
_FLOAT: ContextVar[Float] = ContextVar("float", default=np.float32)


def floats() -> Float:
    """Return the type of the numbers in columns."""
    return _FLOAT.get()


@contextmanager
def reading_in(precision: str) -> Iterator[None]:
    """Read data inside the block in the type that a precision needs."""
    before = _FLOAT.set(np.float64 if precision == "float64" else np.float32)
    try:
        yield
    finally:
        _FLOAT.reset(before)
