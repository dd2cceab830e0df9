"""Attention weights, as one heat map per head."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from retrograd.present.markup import Markup, element, void
from retrograd.present.numbers import number
from retrograd.record.attention import HeadMaps
from retrograd.report.image import LOGARITHMIC, picture, shade
from retrograd.report.story import WORDS, Story

NOTHING = Markup("")


def attention_section(story: Story) -> Markup:
    """Return the attention maps of one row."""
    attention = story.attention
    blocks = [block for maps in attention.maps for block in _node(maps)] if attention else []
    if attention is None or not blocks:
        return NOTHING
    caption = (
        f"The first {WORDS.get(attention.part, attention.part)} row. Each map has one row per query, from top to "
        "bottom, and one column per key. Lighter cells have larger weights; each row sums to 1."
    )
    return element("section", element("h2", "Attention"), element("p", caption, class_="soft"), *blocks)


def _node(maps: HeadMaps) -> Iterator[Markup]:
    """Yield the maps of a node's heads; data that do not match their shape are skipped."""
    images = [image for i, head in enumerate(maps.heads, 1) if (image := _image(maps, head, i))]
    if images:
        yield element("h3", element("code", maps.node), f", largest weight {number(maps.largest, 3)}")
        yield element("div", *images, class_="heads")


def _image(maps: HeadMaps, head: str, place: int) -> Markup:
    try:
        shades = base64.b64decode(head, validate=True)
    except (binascii.Error, ValueError):
        return NOTHING
    if min(maps.queries, maps.keys) < 1 or len(shades) != maps.queries * maps.keys:
        return NOTHING
    rows = [shades[i : i + maps.keys] for i in range(0, len(shades), maps.keys)]
    source = picture([[shade(weight / 255) for weight in row] for row in rows], LOGARITHMIC)
    return void("img", src=source, alt=f"{maps.node}, map {place}: {maps.queries} queries by {maps.keys} keys")
