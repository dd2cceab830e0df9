"""Concepts of the field, each with a formula, related pages and a command that shows it; and Chinese terms."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rich.cells import cell_len

from retrograd.base.document import read_document
from retrograd.explanation.manual.layout import flowing
from retrograd.present.text import WIDTH, wrapped

FOLDER = Path(__file__).parent


class Concept(NamedTuple):
    """A page: its text, a command that shows the concept in numbers, a formula, related pages, and other names."""

    text: str
    command: str
    formula: str = ""
    related: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


@functools.cache
def concepts() -> Mapping[str, Concept]:
    """Return all concepts by name."""
    return {name: _concept(values) for name, values in read_document(FOLDER / "concepts.yaml").values.items()}


@functools.cache
def other_names() -> Mapping[str, tuple[str, ...]]:
    """Return the names of the pages by other names, in the form of `plain_name`."""
    chinese = read_document(FOLDER / "chinese.yaml").values
    pairs = [(also, name) for name, concept in concepts().items() for also in (name, *concept.also)]
    pairs += [(also, name) for name, terms in chinese.items() for also in terms]
    names: dict[str, tuple[str, ...]] = {}
    for also, name in pairs:
        names[plain_name(also)] = (*names.get(plain_name(also), ()), str(name))
    return names


def plain_name(name: str) -> str:
    """Return a name in lower case without spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def page(name: str) -> Iterator[str]:
    """Yield the lines of a concept's page."""
    concept = concepts()[name]
    yield f"{name}  (concept)"
    yield ""
    yield from flowing(concept.text)
    if concept.formula:
        yield ""
        for formula in concept.formula.split("; "):
            yield from wrapped(formula, "      ", 8)
    yield ""
    if concept.related:
        yield from wrapped(f"Related:  {', '.join(concept.related)}", "  ", 12)
    yield from f"  See it:   {concept.command}".replace(" --set ", " \\\n              --set ").splitlines()
    yield from listed("  Also:     ", concept.also)


def listed(label: str, names: Iterable[str]) -> Iterator[str]:
    """Yield a label and names, in lines of at most 80 columns; a Chinese character takes two columns."""
    line, separator = label, ""
    for name in names:
        if cell_len(f"{line}{separator}{name},") > WIDTH:
            yield f"{line},"
            line, separator = " " * cell_len(label), ""
        line, separator = f"{line}{separator}{name}", ", "
    yield line


def _concept(values: Mapping[str, Any]) -> Concept:
    lists = {key: tuple(map(str, values.get(key, ()))) for key in ("related", "also")}
    return Concept(str(values["text"]), str(values["command"]), str(values.get("formula", "")), **lists)
