"""Text for an 80-column terminal."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len, set_cell_size

WIDTH = 80


def wrapped(text: str, first: str = "", hang: int | None = None) -> list[str]:
    """Wrap a text after the prefix `first`; further lines are indented by `hang` (default: 2 more than the prefix).

    Paths and numbers are never broken, so that they can be copied.
    """
    rest = " " * (len(first) + 2 if hang is None else hang)
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]


def filled(text: str, first: str = "", hang: int | None = None) -> str:
    """Wrap a text as `wrapped` does and return one string; line breaks in the text are preserved."""
    return "\n".join(line for part in text.splitlines() or [""] for line in wrapped(part, first, hang))


def cut(text: str, width: int) -> str:
    """Truncate a text to `width` terminal columns; a truncated text ends in `...`."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 3, 0)).rstrip() + "..."[:width]
