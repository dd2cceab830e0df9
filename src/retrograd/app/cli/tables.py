"""Scores and lists as text that fits 80 columns."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size

WIDTH = 80  # columns of a table
GAP = 2


def ending(epochs: int, seconds: float, reason: str, sentence: str, best: int | None) -> str:
    """Return how a run ended, and which weights it kept."""
    counted = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    kept = "the first weights" if best is None else f"the weights of epoch {best}"
    return f"stopped after {counted} in {seconds:.1f} s: {reason} ({sentence})\nkept {kept}"


def score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of metrics (rows) by part (columns)."""
    parts = list(scores)
    metrics = list(dict.fromkeys(name for part in parts for name in scores[part]))
    rows = [["", *parts]]
    rows += [[name, *numbers([scores[part].get(name) for part in parts])] for name in metrics]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells, the first column to the left, the others to the right; the widest give way."""
    widths = [max(cell_len(row[i]) for row in rows) for i in range(len(rows[0]))]
    while sum(widths) + GAP * (len(widths) - 1) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        first, *others = (cut(cell, width) for cell, width in zip(row, widths, strict=True))
        padded = [" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        lines.append((" " * GAP).join([first + " " * (widths[0] - cell_len(first)), *padded]).rstrip())
    return "\n".join(lines)


def cut(text: str, width: int) -> str:
    """Return a text that takes at most so many columns of a terminal; what is left of a longer one ends in `...`."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 3, 0)).rstrip() + "..."[:width]


def number(value: float | None) -> str:
    """Return a number with five significant digits at most, and four decimals at most."""
    return numbers([value])[0]


def numbers(values: Sequence[float | None]) -> list[str]:
    """Return numbers that stand side by side, all with the decimals that suit the largest; `-` for None."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    if largest and not 1e-3 <= largest < 1e7:
        return ["-" if value is None else re.sub(r"e([+-])0*(\d)", _exponent, f"{value:.3e}") for value in values]
    decimals = min(4, max(0, 4 - (math.floor(math.log10(largest)) if largest else 0)))
    return ["-" if value is None else f"{value:.{decimals}f}" for value in values]


def _exponent(found: re.Match[str]) -> str:
    return f"e{found[1].strip('+')}{found[2]}"
