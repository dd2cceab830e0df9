"""The result of a gradient check, and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from retrograd.checking.kinks import Kink
from retrograd.checking.locate import Fault
from retrograd.checking.slopes import Verdict, verdict_of


class Entry(NamedTuple):
    """One entry of a tensor: its index, the value by backward, the difference, and their relative error."""

    at: tuple[int, ...]
    backward: float
    difference: float
    error: float


@dataclass(frozen=True)
class TensorCheck:
    """One tensor: the relative error in norm over the entries checked, and the worst entry.

    `along` is the error along a random direction of all entries, `vjp` that of backward against jax.vjp. `surrogate`
    says why differences do not apply, if the backward of a layer deliberately returns another derivative.
    """

    path: str
    shape: tuple[int, ...]
    tried: int
    error: float
    worst: Entry | None
    along: float
    vjp: float
    kinks: tuple[Kink, ...] = ()
    surrogate: str = ""

    @property
    def largest(self) -> float:
        """The largest of the errors that apply."""
        return self.vjp if self.surrogate else max(self.error, self.along, self.vjp)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the largest error."""
        return verdict_of(self.largest)


@dataclass(frozen=True)
class GradientCheck:
    """The result of a check. `whole` compares all tensors along one random direction; `faults` are wrong layers."""

    name: str
    rows: int
    parameters: int
    tensors: tuple[TensorCheck, ...]
    whole: Entry | None
    faults: tuple[Fault, ...]
    roundoff: float  # bound on the round-off in a difference; errors are relative to at least this / 1e-7
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The largest error of any tensor; infinite if backward could not run."""
        whole = [self.whole.error] if self.whole and not any(t.surrogate or t.kinks for t in self.tensors) else []
        return max([*(tensor.largest for tensor in self.tensors), *whole], default=np.inf if self.faults else 0.0)

    @property
    def verdict(self) -> Verdict:
        """The verdict on the largest error; a fault is always wrong."""
        return "wrong" if self.faults else verdict_of(self.error)
