"""HTML elements, with all text escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

VOID = {"br", "hr", "img", "input", "link", "meta"}
MOST_CHARACTERS = 600  # per text; text from outside may have any length


class Markup(str):
    """Text that is already markup, and is not escaped again."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | None) -> Markup:
    """Return an element. Text children are escaped; `class_` and `data_at` become `class` and `data-at`.

    An attribute whose value is None is omitted; one that is markup is not escaped.
    """
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{value if isinstance(value, Markup) else escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{pairs}>{joined(children)}</{name}>")


def void(name: str, /, **attributes: str | int | None) -> Markup:
    """Return an HTML void element, without content or end tag; an SVG element written so would swallow what follows."""
    assert name in VOID, name
    return Markup(element(name, **attributes).removesuffix(f"</{name}>"))


def joined(children: Sequence[str]) -> Markup:
    """Concatenate children into markup."""
    return Markup("".join(child if isinstance(child, Markup) else escaped(child) for child in children))


def escaped(text: str) -> Markup:
    """Escape a text for HTML, replace control characters, and truncate it if it is very long."""
    return whole(text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} ... ({len(text):,} characters)")


def whole(text: str) -> Markup:
    """Escape a text in full, however long it is."""
    return Markup(html.escape("".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)))


def table(label: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table that scrolls sideways if it is too wide; the first cell of a row is its heading."""
    first = element("tr", *(element("th", cell, scope="col") for cell in head))
    body = [
        element("tr", element("th", cells[0], scope="row"), *(element("td", cell) for cell in cells[1:]))
        for cells in rows
    ]
    inner = element("table", element("thead", first), element("tbody", *body))
    return element("div", inner, class_="scroll", tabindex=0, role="region", aria_label=label)
