"""Scores and lists as text that fits 80 columns."""

from __future__ import annotations

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
    rows += [[name, *(number(scores[part].get(name)) for part in parts)] for name in metrics]
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
    """Return a number with as many digits as help."""
    if value is None:
        return "-"
    return f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"
