"""Manual pages for registered components: layers, losses, optimizers, schedules, penalties, initializers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.base.document import write_document
from retrograd.base.registry import Registry
from retrograd.base.schema import SettingField, fields
from retrograd.explanation.manual.layout import flowing, in_words, what_it_takes
from retrograd.network.layer import layers
from retrograd.network.scope import blocks
from retrograd.present.text import wrapped


def page(registry: Registry[Any], name: str) -> Iterator[str]:
    """Yield a component's docstring, formulas, settings and an example."""
    cls = registry[name]
    yield f"{name}  ({registry.kind})"
    yield ""
    yield from flowing(inspect.getdoc(cls) or "")
    yield from _formulas(cls)
    if fields(cls):
        yield ""
        yield "  Settings (a single value sets the first):"
        for field in fields(cls):
            yield from _setting(cls, field)
    if example := example_of(registry, name):
        yield ""
        yield "  In a configuration:"
        yield from (f"    {line}" for line in example.rstrip().splitlines())


def _formulas(cls: type) -> Iterator[str]:
    equations = getattr(cls, "equations", None)
    if equations is not None:
        yield ""
        yield from wrapped(f"Forward:  {equations.forward}", "  ", 12)
        for i, line in enumerate(equations.backward):
            yield from wrapped(f"{'Backward: ' if i == 0 else '          '}{line}", "  ", 12)
    elif isinstance(formula := getattr(cls, "formula", None), str):
        yield ""
        yield from wrapped(f"Formula:  {formula}", "  ", 12)


def _setting(cls: type, field: SettingField) -> Iterator[str]:
    yield from wrapped(f"{field.name}: {what_it_takes(field)}", "    ", 6)
    yield from in_words(field.words, "      ")


def example_of(registry: Registry[Any], name: str) -> str:
    """Return the lines of a configuration that use a component; none for one that belongs inside another."""
    facts = registry.entry(name).facts
    example: Mapping[str, Any] = facts.get("example") or next(
        (e.settings for e in facts.get("examples", ()) if e.settings), {}
    )
    settings = dict(example)
    entry = {name: settings} if settings else name
    if registry in (layers, blocks):
        return write_document({"network": [entry]}) if settings or registry is layers else ""
    section = {"loss": "loss", "optimizer": "optimizer", "penalty": "penalties"}.get(registry.kind)
    return write_document({section: [entry] if section == "penalties" else entry}) if section else ""
