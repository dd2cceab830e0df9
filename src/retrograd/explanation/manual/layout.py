"""The layout of manual pages: docstrings wrapped to the width of the terminal, settings in words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING

from retrograd.base.annotations import Words, describe
from retrograd.base.schema import SettingField
from retrograd.explanation.settings import in_short, reason
from retrograd.present.text import wrapped

HEADING = re.compile(r"[A-Z][a-z]+: {2,}")


def what_it_takes(field: SettingField) -> str:
    """Return the allowed values of a setting, and its default."""
    default = "required" if field.default is MISSING else f"default {in_short(field.default)}"
    return f"{describe(field.annotation)}; {default}"


def in_words(words: Words, indent: str) -> Iterator[str]:
    """Yield what a setting does, the reason for its default, and the effect of other values."""
    sides = [f"{side}: {text}" for side, text in (("larger", words.more), ("smaller", words.less)) if text]
    why = reason("default", words.why) if words.why else ""
    for text in (words.what, why, ". ".join(sides)):
        if text:
            yield from wrapped(text, indent)


def first_sentence(cls: type) -> str:
    """Return the first sentence of a class's docstring."""
    text = " ".join((inspect.getdoc(cls) or "").partition("\n\n")[0].split())
    return text.partition(". ")[0].rstrip(".") + "."


def flowing(text: str) -> Iterator[str]:
    """Yield a docstring with its paragraphs wrapped; indented lines, which are formulas, keep their line breaks."""
    paragraph: list[str] = []
    hang = 0

    def ended() -> list[str]:
        lines = wrapped(" ".join(" ".join(paragraph).split()), "  ", hang + 2 if hang else 2) if paragraph else []
        paragraph.clear()
        if hang and lines:  # joining has removed the spaces after the heading
            head, _, rest = lines[0].strip().partition(": ")
            joined = " ".join([rest, *(line.strip() for line in lines[1:])])
            return wrapped(f"{f'{head}:':<{hang}}{joined}", "  ", hang + 2)
        return lines if hang else [line if i == 0 else f"  {line.strip()}" for i, line in enumerate(lines)]

    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading or not line.strip() or (line.startswith("    ") and not hang):
            yield from ended()
            hang = len(heading[0]) if heading else 0
            if not heading:
                indent = "  " + " " * (len(line) - len(line.lstrip()))
                yield from wrapped(line.strip(), indent, len(indent) + 4)
                continue
        paragraph.append(line)
    yield from ended()
