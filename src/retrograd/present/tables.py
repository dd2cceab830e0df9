"""Tables for an 80-column terminal; a Chinese character takes two columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len

from retrograd.present.numbers import aligned
from retrograd.present.text import WIDTH, cut

GAP = 2


def score_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    """Return a table of scores: a row per metric, a column per part of the data."""
    parts = list(scores)
    metrics = list(dict.fromkeys(name for part in parts for name in scores[part]))
    rows = [["", *parts]]
    rows += [[name, *aligned([scores[part].get(name) for part in parts])] for name in metrics]
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows of cells: the first column aligned left, the others right, the widest truncated to fit."""
    widths = natural_widths(rows)
    while whole_width(widths) > WIDTH:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in rows:
        first, *others = (cut(cell, width) for cell, width in zip(row, widths, strict=True))
        padded = [" " * (width - cell_len(cell)) + cell for cell, width in zip(others, widths[1:], strict=True)]
        lines.append((" " * GAP).join([first + " " * (widths[0] - cell_len(first)), *padded]).rstrip())
    return "\n".join(lines)


def fits(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table fits without truncating any cell."""
    return whole_width(natural_widths(rows)) <= WIDTH


def natural_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column without truncation."""
    return [max(map(cell_len, column)) for column in zip(*rows, strict=True)]


def whole_width(widths: Sequence[int]) -> int:
    """Return the total width of a table with these column widths."""
    return sum(widths) + GAP * (len(widths) - 1)
