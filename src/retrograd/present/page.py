"""The frame of a self-contained page: no server, no other files, light and dark."""

from __future__ import annotations

from retrograd.present.markup import Markup, element, joined, void
from retrograd.present.theme import CSS


def page(title: str, style: str, body: str) -> str:
    """Return an HTML document; `style` extends the theme, `body` is the markup of the content."""
    head = element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(CSS + style)),
    )
    return f'<!doctype html>\n<html lang="en">{joined([head, element("body", body)])}</html>\n'


def embedded(json: str) -> Markup:
    """Return a script element with JSON data; nothing in the data can close the element."""
    return element("script", Markup(json.replace("<", "\\u003c")), type="application/json", id="data")
