"""Numbers written out: each with the sum that it came from, and the deltas that went into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from retrograd.tracing.arrays import entry

MOST_LINES = 64  # numbers of one array that are written out
MOST_TERMS = 16  # summands of one number


@dataclass(frozen=True)
class Term:
    """A summand: factors with their names, and the delta that is one more factor (its key), if one is."""

    factors: tuple[tuple[str, float], ...] = ()
    reads: str = ""


@dataclass(frozen=True)
class Line:
    """One number written out: its key and name, the sum with numbers put in, its value, and what it is a sum of."""

    key: str
    name: str
    text: str
    value: float
    terms: tuple[Term, ...] = ()


Lines = list[Line]


def delta_key(reference: str, index: Sequence[int]) -> str:
    """Return the key of one number of a delta."""
    return f"delta:{entry(reference, index)}"


def grad_key(path: str, index: Sequence[int]) -> str:
    """Return the key of one number of a gradient."""
    return f"grad:{entry(path, index)}"


def is_small(array: np.ndarray, terms: int = 1) -> bool:
    """Return whether an array is small enough to write every number of it out as a sum of so many terms."""
    return array.size <= MOST_LINES and terms <= MOST_TERMS
