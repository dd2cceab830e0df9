"""Where a key belongs that stands at the wrong place of a configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.base.annotations import Registered, unwrap
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.schema import UNKNOWN_KEY, Settings, fields, settings_class
from retrograd.base.synonyms import same_thing


def placed(error: ConfigError, cls: type[Settings], values: Mapping[str, Any]) -> ConfigError:
    """Return the error in which an unknown key that another section knows is told the path there.

    What stands below `network` is left as it is: the words of layers mean many things.
    """
    homes: dict[str, str] = {}
    for path in places(cls, values):
        homes.setdefault(path.rpartition(".")[2], path)

    def moved(problem: Problem) -> Problem:
        if problem.message != UNKNOWN_KEY or problem.where.startswith("network."):
            return problem
        home = same_thing(problem.where.rpartition(".")[2], homes)
        if home is None or problem.cure == f"did you mean '{home}'?":
            return problem
        level = "" if "." in homes[home] else " at the top level"
        return problem._replace(cure=f"did you mean '{homes[home]}'{level}?")

    return type(error)([moved(problem) for problem in error.problems])


def places(cls: type[Settings], values: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every key of these settings, this level's first and the last section's before the others'."""
    known = {field.name: field for field in reversed(fields(cls))}
    yield from (path + name for name in known)
    given = values if isinstance(values, Mapping) else {}
    for name, field in known.items():
        chosen = _chosen(field.annotation, given.get(name), field.default)
        if chosen:
            below, inner, more = chosen
            yield from places(below, inner, f"{path}{name}.{more}")


def _chosen(annotation: Any, value: Any, default: Any) -> tuple[type[Settings], Any, str] | None:
    """Return the settings that a field holds: their class, the values given for them, and what to add to the path."""
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
    else:  # a number stands for the first of them: a learning rate for the constant schedule
        name = next(iter(mark.registry))
    return mark.registry[name], None, f"{name}."
