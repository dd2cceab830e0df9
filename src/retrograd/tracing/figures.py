"""Numbers as a person writes them: as many decimals as asked for, and fewer where they are exact."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CORNER = (3, 5)  # rows and columns that are shown of a large array
ROUND_OFF = 8  # units in the last place by which a sum of short decimals may miss the short decimal


@dataclass(frozen=True)
class Figures:
    """How numbers are written: -1.2 where that is the number, 0.5250 where it is rounded, 2.5e-07 where it is tiny."""

    decimals: int = 4
    eps: float = float(np.finfo(np.float64).eps)

    def number(self, value: Any) -> str:
        """Return a number: short when it is exact in fewer decimals, else rounded."""
        if isinstance(value, (bool, np.bool_)):
            return "true" if value else "false"
        if isinstance(value, (int, np.integer)):
            return str(int(value))
        x = float(value)
        if not np.isfinite(x):
            return str(x)
        if x == 0:
            return "0"
        if abs(x) >= 1e7 or abs(x) < 10.0**-self.decimals:
            return self._scientific(x)
        for places in range(self.decimals + 1):
            if abs(x - round(x, places)) <= ROUND_OFF * self.eps * abs(x):
                return f"{x:.{places}f}"
        return f"{x:.{self.decimals}f}"

    def _scientific(self, x: float) -> str:
        most = max(self.decimals - 2, 1)
        texts = (f"{x:.{places}e}" for places in range(most))
        exact = (text for text in texts if abs(x - float(text)) <= ROUND_OFF * self.eps * abs(x))
        return next(exact, f"{x:.{most}e}")

    def factor(self, value: Any) -> str:
        """Return a number as it stands behind a multiplication sign: a negative one in brackets."""
        text = self.number(value)
        return f"({text})" if text.startswith("-") else text

    def minus(self, a: Any, b: Any) -> str:
        """Return `a - b`."""
        return f"{self.number(a)} - {self.factor(b)}"

    def product(self, values: Sequence[Any]) -> str:
        """Return numbers multiplied."""
        first, *others = values
        return "*".join([self.number(first), *map(self.factor, others)])

    def sum(self, terms: Iterable[Sequence[Any]]) -> str:
        """Return a sum of products; a negative number that stands alone is subtracted."""
        text = ""
        for values in terms:
            if not text:
                text = self.product(values)
            elif len(values) == 1:
                own = self.number(values[0])
                text += f" - {own[1:]}" if own.startswith("-") else f" + {own}"
            else:
                text += " + " + "*".join(map(self.factor, values))
        return text or "0"


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
