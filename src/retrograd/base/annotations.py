"""Marks in a field's annotation: custom parsers, and wording for error messages and manuals."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from retrograd.base.errors import did_you_mean
from retrograd.base.plain_text import short_powers
from retrograd.base.registry import Registry


@dataclass(frozen=True)
class Expect:
    """The wording for a field's type in an error message."""

    words: str


@dataclass(frozen=True)
class Registered:
    """Marks a field whose value is an entry of a registry: a name, `{name: settings}` or an object.

    `only` restricts it to entries of one class. `otherwise` is an annotation for plain values that are also allowed
    (say, a number in place of a schedule); `coerce` turns such a value into an entry, and an entry whose class has
    `plain_form` is written back as its first field.
    """

    registry: Registry[Any]
    only: type | None = None
    otherwise: Any = None
    coerce: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class Custom:
    """Marks a field with a custom parser: `parse(value, path)` raises ConfigError, `dump` returns plain data."""

    parse: Callable[[Any, str], Any]
    dump: Callable[[Any, bool], Any]
    schema: Callable[[], dict[str, Any]]
    words: str


class Words(NamedTuple):
    """The documentation of a setting: what it does, the effect of more and of less, and the reason for its default.

    It is part of the annotation: `units: Annotated[PositiveInt, Words("outputs", more="slower")]`.
    """

    what: str
    more: str = ""
    less: str = ""
    why: str = ""


def describe(annotation: Any) -> str:
    """Describe an annotation in words, for the `expected` part of an error message."""
    base, marks = unwrap(annotation)
    for mark in marks:
        if isinstance(mark, (Expect, Custom)):
            return mark.words
        if isinstance(mark, Registered):
            return mark.registry.one if mark.otherwise is None else f"{describe(mark.otherwise)} or {mark.registry.one}"
    if get_origin(base) in (Union, types.UnionType):
        return " or ".join(describe(option) for option in get_args(base))
    if get_origin(base) is Literal:
        return "one of " + ", ".join(str(option) for option in get_args(base))
    if get_origin(base) is tuple:
        return f"a list, each {describe(get_args(base)[0])}"
    if get_origin(base) is dict:
        return "a mapping"
    words = {bool: "true or false", int: "an integer", float: "a number", str: "text", type(None): "null"}
    return words.get(base, "a mapping")  # nested settings


def show(value: Any) -> str:
    """Return a value as text that fits on one line."""
    text = "null" if value is None else repr(thaw(value)) if not isinstance(value, bool) else str(value).lower()
    if isinstance(value, float):
        text = short_powers(text)
    return text if len(text) <= 60 else text[:57] + "..."


def freeze(value: Any) -> Any:
    """Turn lists into tuples and NumPy values into Python values, so that settings stay hashable."""
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(freeze(item) for item in value)
    return value


def thaw(value: Any) -> Any:
    """Turn tuples into lists, for YAML and JSON."""
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    if isinstance(value, Mapping):
        return {key: thaw(item) for key, item in value.items()}
    return value


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return an annotation's type and its marks."""
    if get_origin(annotation) is Annotated:
        base, *marks = get_args(annotation)
        return base, tuple(marks)
    return annotation, ()


def without_words(annotation: Any) -> tuple[Any, Words | None]:
    """Return an annotation without its `Words`, and those `Words`."""
    base, marks = unwrap(annotation)
    others = tuple(mark for mark in marks if not isinstance(mark, Words))
    words = next((mark for mark in marks if isinstance(mark, Words)), None)
    return Annotated[base, *others] if others else base, words


def options(base: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union."""
    return get_args(base) if get_origin(base) in (Union, types.UnionType) else (base,)


def near_literal(annotation: Any, value: Any) -> str:
    """Return `did you mean ...?` for a word that resembles one of the allowed words, else nothing."""
    base, _ = unwrap(annotation)
    words = [option for part in options(base) if get_origin(part) is Literal for option in get_args(part)]
    if not isinstance(value, str) or not words:
        return ""
    hint = did_you_mean(value, [word for word in words if isinstance(word, str)])
    return hint if hint.startswith("did") else ""
