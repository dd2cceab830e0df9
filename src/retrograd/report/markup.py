"""Markup for the report: elements whose every text is escaped, and numbers as people read them."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

MOST_CHARACTERS = 600  # of one text from a run; what comes from elsewhere may be of any length


class Markup(str):
    """Text that is markup already, and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """Return an element. Children that are no markup are escaped; `class_`, `data_at` become `class`, `data-at`.

    An attribute with the value None is left out, one that is markup is taken as it is.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Markup) else escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{given}>{joined(children)}</{name}>")


def void(name: str, /, **attributes: str | int | None) -> Markup:
    """Return an element that has no content and no end tag."""
    return Markup(element(name, **attributes).removesuffix(f"</{name}>"))


def joined(children: Sequence[str]) -> Markup:
    """Return children one after the other as markup."""
    return Markup("".join(child if isinstance(child, Markup) else escaped(child) for child in children))


def escaped(text: str) -> Markup:
    """Return a text that no browser takes for markup: without control characters, and cut where it is very long."""
    kept = text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ... ({len(text):,} characters)"
    return Markup(html.escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in kept)))


def table(label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table that scrolls sideways where it is too wide; the first cell of a row is its heading."""
    first = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", cells[0], scope="row"), *(element("td", cell) for cell in cells[1:]))
        for cells in rows
    ]
    inner = element("table", element("thead", first), element("tbody", *body))
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=label)


def figure(value: float | None, digits: int = 5) -> str:
    """Return a number with so many significant digits: 0.31416, 31,416, 3.1416e-7; `-` for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    rounded = float(f"{value:.{digits}g}")
    if rounded and not 1e-3 <= abs(rounded) < 1e7:
        return re.sub(r"\.?0*e([+-])0*(\d)", lambda e: f"e{e[1].strip('+')}{e[2]}", f"{value:.{digits - 1}e}")
    return f"{rounded:,.{digits + 3}f}".rstrip("0").rstrip(".")


def figures(values: Sequence[float | None]) -> list[str]:
    """Return numbers that stand side by side: at least four digits after the point, or as `figure` writes them."""
    known = [abs(value) for value in values if value is not None and math.isfinite(value)]
    if not known or max(known) >= 10 or 0 < min(known) < 1e-3:
        return [figure(value) for value in values]
    decimals = 4 if min(known) >= 0.01 or not min(known) else 6
    return [figure(v) if v is None or not math.isfinite(v) else f"{v:.{decimals}f}" for v in values]


def short(value: float, digits: int = 4) -> float | str:
    """Return a number with few digits for the page's script; NaN and infinities as texts."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else str(value)
