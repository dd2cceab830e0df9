"""Sentences that mention settings, kept as data, so that each reader is shown the form in which to type them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


class Mention(NamedTuple):
    """A setting named in a sentence: as a configuration writes it, with dots for nesting, and its full path.

    `path` is empty for a setting of a layer, loss or other entry, whose place depends on the configuration.
    """

    key: str
    value: str = ""
    path: str = ""

    def __str__(self) -> str:
        *sections, last = self.key.split(".")
        opened = "".join(f"{section}: {{" for section in sections)
        return f"`{opened}{f'{last}: {self.value}' if self.value else f'{last}:'}{'}' * len(sections)}`"


class Sentence(str):
    """A text that keeps its mentions apart from its prose; as a `str` it is written as for a configuration.

    Adding keeps the mentions; formatting and joining do not: use `joined`.
    """

    __slots__ = ("parts",)
    parts: tuple[str | Mention, ...]

    def __new__(cls, *parts: str | Mention) -> Sentence:
        """Join prose and mentions."""
        self = super().__new__(cls, "".join(map(str, parts)))
        self.parts = tuple(filter(None, parts))
        return self

    def __getnewargs__(self) -> tuple[str | Mention, ...]:  # type: ignore[override]
        return self.parts

    def __add__(self, other: str) -> Sentence:
        """Return both texts in a row, with the mentions of both."""
        return Sentence(*self.parts, *parts_of(other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: str) -> Sentence:
        return Sentence(*parts_of(other), *self.parts) if isinstance(other, str) else NotImplemented


def sentence(form: str, *mentions: Sentence) -> Sentence:
    """Return a sentence with a mention in place of each `{}`."""
    prose = form.split("{}")
    between = (part for text, mention in zip(prose[1:], mentions, strict=True) for part in (*mention.parts, text))
    return Sentence(prose[0], *between)


def setting(key: str, value: str = "", within: str = "") -> Sentence:
    """Return the mention of a setting: `setting("data.scale", "standard")` reads `data: {scale: standard}`.

    `within` is the section that it belongs to, if the sentence does not show it.
    """
    return Sentence(Mention(key, value, f"{within}.{key}" if within else key))


def data_setting(key: str, value: str = "", section: str = "") -> Sentence:
    """Return the mention of a setting of `data`, or of a section in it: `data_setting("target")` reads `target:`."""
    return setting(key, value, f"data.{section}" if section else "data")


def entry_setting(key: str, value: str = "") -> Sentence:
    """Return the mention of a setting of a layer, loss or other entry, which always reads as in a configuration."""
    return Sentence(Mention(key, value))


def parts_of(text: str) -> tuple[str | Mention, ...]:
    """Return the prose and the mentions of a text; a plain one is all prose."""
    return text.parts if isinstance(text, Sentence) else (text,)


def joined(separator: str, texts: Iterable[str]) -> Sentence:
    """Join texts and keep their mentions."""
    parts: list[str | Mention] = []
    for text in texts:
        parts += [*([separator] if parts else []), *parts_of(text)]
    return Sentence(*parts)


def spelt(text: str, form: Callable[[Mention], str]) -> str:
    """Return a text with each mention in the given form."""
    return "".join(form(part) if isinstance(part, Mention) else part for part in parts_of(text))


def to_plain(text: str) -> list[Any]:
    """Return the parts of a text for JSON."""
    return [list(part) if isinstance(part, Mention) else part for part in parts_of(text)]


def from_plain(parts: Sequence[Any]) -> Sentence:
    """Return the text whose `to_plain` was stored."""
    return Sentence(*(part if isinstance(part, str) else Mention(*part) for part in parts))
