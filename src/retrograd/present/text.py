"""Text for a terminal of 80 columns."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len, set_cell_size

WIDTH = 80


def wrapped(text: str, first: str = "", hang: int | None = None) -> list[str]:
    """Return the lines of a text after the prefix `first`; further lines begin at column `hang` (2 after the prefix).

    Paths and numbers stay whole, so that they can be copied.
    """
    rest = " " * (len(first) + 2 if hang is None else hang)
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]


def filled(text: str, first: str = "", hang: int | None = None) -> str:
    """Return the same as one text; line breaks in the text are preserved."""
    return "\n".join(line for part in text.splitlines() or [""] for line in wrapped(part, first, hang))


def cut(text: str, width: int) -> str:
    """Return a text in at most `width` columns of a terminal; a longer text is cut and ends in `...`."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 3, 0)).rstrip() + "..."[:width]
