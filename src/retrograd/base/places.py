"""Hints for keys in the wrong section of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.base.annotations import Registered, unwrap
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.schema import UNKNOWN_KEY, Settings, fields, settings_class
from retrograd.base.synonyms import same_thing, same_things

TRAINED = ("training.", "optimizer.", "penalties")  # settings that people look for in a layer but that belong elsewhere


def placed(error: ConfigError, cls: type[Settings], values: Mapping[str, Any]) -> ConfigError:
    """Return the error with the right path as a hint for each unknown key that belongs in another section.

    Layers use many common words: below `network`, a hint from the layer's own settings takes precedence.
    """
    homes: dict[str, str] = {}
    named = {path.rpartition(".")[2] for path in named_places(cls, values)}
    for path in (*places(cls, values), *named_places(cls, values)):
        homes.setdefault(path.rpartition(".")[2], path)

    def hinted(problem: Problem) -> Problem:
        if problem.message != UNKNOWN_KEY or "under the name" in problem.cure:
            return problem
        key = problem.where.rpartition(".")[2]
        in_layer = problem.where.startswith("network.")
        if same_thing(key, re.findall("'([^']+)'", problem.cure)) is not None:  # the section has a name for it
            return problem
        is_advice = not problem.cure.startswith(("known:", "did you mean"))
        open_to = [name for name in homes if homes[name].startswith(TRAINED) or not in_layer]
        trained = same_things(key, [name for name in open_to if homes[name].startswith(TRAINED)])
        similar = dict.fromkeys((*trained, *same_things(key, open_to)))
        names = [name for name in similar if not (is_advice and (in_layer or name in named))]
        if not names:
            return problem
        paths = [homes[name] for name in names if homes[name].count(".") <= homes[names[0]].count(".")]
        level = "" if "." in paths[0] else " at the top level"
        return problem._replace(cure=f"did you mean {' or '.join(map(repr, paths))}{level}?")

    return type(error)([hinted(problem) for problem in error.problems])


def named_places(cls: type[Settings], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of registry entries, such as a schedule (below the learning rate) or an optimizer."""
    for field in fields(cls):
        _, marks = unwrap(field.annotation)
        mark = next((mark for mark in marks if isinstance(mark, Registered)), None)
        chosen = _chosen(field.annotation, values.get(field.name), field.default)
        if mark is None:
            continue
        yield from (f"{field.name}.{name}" for name in mark.registry)
        for inner in fields(chosen[0]) if chosen else ():
            _, marks = unwrap(inner.annotation)
            registered = next((mark for mark in marks if isinstance(mark, Registered)), None)
            if registered is not None and chosen is not None:
                yield from (f"{field.name}.{chosen[2]}{inner.name}.{name}" for name in registered.registry)


def places(cls: type[Settings], values: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every key of these settings: first this level, then the sections in reverse order."""
    known = {field.name: field for field in reversed(fields(cls))}
    yield from (path + name for name in known)
    present = values if isinstance(values, Mapping) else {}
    for name, field in known.items():
        chosen = _chosen(field.annotation, present.get(name), field.default)
        if chosen:
            below, inner, more = chosen
            yield from places(below, inner, f"{path}{name}.{more}")


def _chosen(annotation: Any, value: Any, default: Any) -> tuple[type[Settings], Any, str] | None:
    """Return the settings in a field: their class, their values, and what they add to the path."""
    base, marks = unwrap(annotation)
    mark = next((mark for mark in marks if isinstance(mark, Registered)), None)
    if mark is None:
        nested = settings_class(base)
        return (nested, value, "") if nested else None
    name, inner = next(iter(value.items())) if isinstance(value, Mapping) and value else (value, None)
    if isinstance(name, str) and name in mark.registry:
        return mark.registry[name], inner, f"{name}."
    if isinstance(default, Settings):
        name = mark.registry.name_of(type(default))
    elif mark.otherwise is None:
        return None
    else:  # a number means the first entry: a learning rate means the constant schedule
        name = next(iter(mark.registry))
    return mark.registry[name], None, f"{name}."
