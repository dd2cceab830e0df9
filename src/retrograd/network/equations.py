"""A layer's formulas."""

from __future__ import annotations

from typing import NamedTuple


class Equations(NamedTuple):
    """A layer's formulas, forward and backward, as plain text and as LaTeX."""

    forward: str
    backward: tuple[str, ...]
    latex_forward: str
    latex_backward: tuple[str, ...]


UNWRITTEN = Equations("", ("",), "", ("",))  # of a user's own loss that states none
