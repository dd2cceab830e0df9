"""Numbers as written in a calculation: rounded to the requested decimals, or with fewer if those are exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUND_OFF = 8  # units in the last place by which a sum of short decimals may miss the short decimal


@dataclass(frozen=True)
class Figures:
    """A number format: -1.2 if that is exact, 0.5250 if it is rounded, 2.5e-07 if it is tiny."""

    decimals: int = 4
    eps: float = float(np.finfo(np.float64).eps)

    def number(self, value: Any) -> str:
        """Format a number: with fewer decimals if those are exact, else rounded."""
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
        """Format a number after a multiplication sign: negative numbers in brackets."""
        text = self.number(value)
        return f"({text})" if text.startswith("-") else text

    def minus(self, a: Any, b: Any) -> str:
        """Format the difference `a - b`."""
        return f"{self.number(a)} - {self.factor(b)}"

    def product(self, values: Sequence[Any]) -> str:
        """Format a product."""
        first, *others = values
        return "*".join([self.number(first), *map(self.factor, others)])

    def sum(self, terms: Iterable[Sequence[Any]]) -> str:
        """Format a sum of products; a negative term without factors is subtracted."""
        text = ""
        for values in terms:
            if not text:
                text = self.product(values)
            elif len(values) == 1:
                number = self.number(values[0])
                text += f" - {number[1:]}" if number.startswith("-") else f" + {number}"
            else:
                text += " + " + "*".join(map(self.factor, values))
        return text or "0"
