"""Manual pages for settings, by path or by the last part of a path."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.base.annotations import Words, options, unwrap
from retrograd.base.registry import Registry
from retrograd.base.schema import SettingField, Settings, fields, settings_class
from retrograd.explanation.manual.layout import in_words, what_it_takes
from retrograd.network.entries import COMMON
from retrograd.network.initializers import initializers
from retrograd.network.layer import layers
from retrograd.network.losses.loss import losses
from retrograd.network.scope import blocks
from retrograd.present.text import wrapped
from retrograd.training.config.config import RunConfig
from retrograd.update.optimizer import optimizers
from retrograd.update.penalties import penalties
from retrograd.update.schedule import schedules

REGISTRIES: tuple[Registry[Any], ...] = (layers, blocks, losses, optimizers, schedules, penalties, initializers)
Setting = tuple[SettingField | None, Words]


def page(name: str, settings: Mapping[str, Setting]) -> Iterator[str]:
    """Yield one page for all settings with this name; text shared by several settings appears once."""
    yield f"{name}  (setting)"
    places: dict[Words, list[str]] = {}
    for path, (field, words) in settings.items():
        places.setdefault(words, []).append(path if field is None else f"{path}: {what_it_takes(field)}")
    for words, lines in places.items():
        yield ""
        for line in lines:
            yield from wrapped(line, "  ")
        yield from in_words(words, "    ")
    inner = {
        path: words for path, (_, words) in configuration().items() if any(_inside(path, outer) for outer in settings)
    }
    if inner:
        yield ""
        yield "  Its settings:"
        for path, words in inner.items():
            yield from line_of(path, words.what, "    ")


def line_of(name: str, text: str, indent: str = "  ", width: int = 24) -> list[str]:
    """Return a name with its text in a second column, or below the name if it is too long for the first."""
    column = len(indent) + width
    if len(name) < width:
        return wrapped(f"{name:<{width}}{text}", indent, column)
    return [indent + name, *wrapped(text, " " * column, column)]


def called(name: str) -> Iterator[tuple[str, Setting]]:
    """Yield the settings whose path is this name or ends in it."""
    for path, facts in all_paths().items():
        if path == name or ("." not in name and last(path) == name) or path.endswith(f".{name}"):
            yield path, facts


@functools.cache
def configuration() -> Mapping[str, Setting]:
    """Return every setting of a configuration by path, except those of layers, losses and the like."""
    return dict(_of(RunConfig, ""))


def all_paths() -> dict[str, Setting]:
    """Return every setting by path; paths in an entry of a registry begin with its name: `dense.units`."""
    paths = dict(configuration())
    for registry in REGISTRIES:
        for name in registry:
            section = {"optimizer": "optimizer.", "loss": "loss."}.get(registry.kind, "")
            paths |= dict(_of(registry[name], f"{section}{name}"))
    return paths | {f"network.{key}": (None, words) for key, words in COMMON.items()}


def last(path: str) -> str:
    """Return the last part of a path."""
    return path.rpartition(".")[2]


def _of(cls: type[Settings], path: str) -> Iterator[tuple[str, Setting]]:
    for field in fields(cls):
        inner = f"{path}.{field.name}" if path else field.name
        yield inner, (field, field.words)
        base, marks = unwrap(field.annotation)
        for option in () if marks else options(base):
            nested = settings_class(unwrap(option)[0])
            if nested is not None:
                yield from _of(nested, inner)


def _inside(path: str, section: str) -> bool:
    return path.startswith(f"{section}.")
