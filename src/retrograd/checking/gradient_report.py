"""The result of `check_gradient`, by tensor and overall."""

from __future__ import annotations

import math
from typing import NamedTuple

from retrograd.checking.slopes import Verdict, verdict_of
from retrograd.present.numbers import number


class TensorError(NamedTuple):
    """One tensor: the error of its gradient against the differences, the worst entry, and the likely mistake.

    `entries` were checked, and `kinks` more lie on a corner. `is_step`: all differences are 0, but the gradient is not.
    """

    name: str
    shape: tuple[int, ...]
    error: float
    entries: int
    kinks: int
    worst: tuple[int, ...] = ()
    gradient: float = math.nan
    difference: float = math.nan
    hint: str = ""
    is_step: bool = False

    @property
    def verdict(self) -> Verdict:
        """The error in a word."""
        return verdict_of(self.error)

    def __str__(self) -> str:
        tried = f"{self.entries} of {math.prod(self.shape)} entries" if self.entries < math.prod(self.shape) else "all"
        kinks = f", {self.kinks} skipped on a corner" if self.kinks else ""
        line = f"{self.verdict:10s} {number(self.error, 2):>8}  {self.name} {list(self.shape)} ({tried}{kinks})"
        if self.verdict != "exact" and self.entries:
            values = f"gradient {number(self.gradient, 6)}, difference {number(self.difference, 6)}"
            line += f"; entry {list(self.worst)}: {values}"
        return f"{line}\n{'':21s}{self.hint}" if self.hint else line


class GradientReport(NamedTuple):
    """The tensors in order, inputs first; `ok` tells whether all gradients are right."""

    tensors: tuple[TensorError, ...]
    loss: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def error(self) -> float:
        """The largest relative error."""
        return max((tensor.error for tensor in self.tensors), default=0.0)

    @property
    def verdict(self) -> Verdict:
        """exact, acceptable, suspicious or wrong."""
        return verdict_of(self.error)

    @property
    def ok(self) -> bool:
        """Whether every gradient is exact or acceptable."""
        return self.verdict in ("exact", "acceptable")

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        loss = "" if self.loss is None else f", loss {number(self.loss, 6)}"
        head = f"{self.verdict}: largest relative error {number(self.error, 2)}{loss}"
        return "\n".join([head, *map(str, self.tensors), *self.notes])
