"""Arrays in short: the name of a place, statistics, a corner."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

CORNER = (3, 5)  # rows and columns that are shown of a large array


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
    corner: np.ndarray  # at most CORNER, of the first of any leading axes


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
    """Return the first matrix of an array: its last two axes at the beginning of the others."""
    array = np.asarray(array)
    while array.ndim > 2:
        array = array[0]
    return array.reshape(1, -1) if array.ndim < 2 else array


def place(path: str, index: Sequence[int], shape: Sequence[int]) -> str:
    """Return the name of one number, as in `out[0]`; an axis of length 1 in front (a single row) is left out."""
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
