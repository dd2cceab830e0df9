"""Numbers of an array: their names, statistics and a corner of many, and each written out as a sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CORNER = (3, 5)  # rows and columns shown of a large array
MOST_LINES = 64  # numbers of an array that are written out
MOST_TERMS = 16  # summands of one number


@dataclass(frozen=True)
class Summary:
    """A large array in a few numbers and its corner."""

    shape: tuple[int, ...]
    smallest: float
    mean: float
    largest: float
    rms: float
    zeros: int
    nonfinite: int
    corner: np.ndarray  # at most CORNER, at index 0 of the leading axes


def summary(array: np.ndarray) -> Summary:
    """Return shape, statistics (of the finite numbers) and a corner."""
    values = np.asarray(array, np.float64)
    finite = values[np.isfinite(values)]
    some = finite if finite.size else np.zeros(1)
    return Summary(
        tuple(array.shape),
        float(some.min()),
        float(some.mean()),
        float(some.max()),
        float(np.sqrt(np.mean(some**2))),
        int((values == 0).sum()),
        int(values.size - finite.size),
        matrix(array)[: CORNER[0], : CORNER[1]],
    )


def matrix(array: np.ndarray) -> np.ndarray:
    """Return the first matrix of an array: its last two axes, at index 0 of the others."""
    array = np.asarray(array)
    while array.ndim > 2:
        array = array[0]
    return array.reshape(1, -1) if array.ndim < 2 else array


def place(path: str, index: Sequence[int], shape: Sequence[int]) -> str:
    """Return the name of one number, such as `out[0]`; a leading axis of length 1 (a single row) is omitted."""
    shown = list(index)
    if len(shown) > 1 and shape[0] == 1:
        shown = shown[1:]
    return f"{path}[{','.join(map(str, shown))}]" if shown else path


def entry(path: str, index: Sequence[int]) -> str:
    """Return the name of one number of a parameter, every axis included."""
    return f"{path}[{','.join(map(str, index))}]" if len(index) else path


def indices(array: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Yield the places of an array, the last axis fastest."""
    yield from np.ndindex(*array.shape)


@dataclass(frozen=True)
class Term:
    """A summand: factors with their names, and the key of the delta among them, if there is one."""

    factors: tuple[tuple[str, float], ...] = ()
    reads: str = ""


@dataclass(frozen=True)
class Line:
    """One number written out: its key and name, the sum with numbers filled in, its value, and its summands."""

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
    """Return whether an array is small enough to write out every number as a sum of `terms` terms."""
    return array.size <= MOST_LINES and terms <= MOST_TERMS
