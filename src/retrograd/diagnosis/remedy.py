"""Remedies: named changes of a configuration, with their reasons."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from retrograd.base.registry import Registry
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.program import Program
from retrograd.network.layer import Layer
from retrograd.network.scope import Entry
from retrograd.training.config.config import RunConfig

remedies: Registry[Remedy] = Registry("remedy")


class Remedy(ABC):
    """A change of the configuration. `why` is the reason shown next to it.

    `cost` says how far it overrides the user's choices, from 1 (a number) to 3 (another network); among equally good
    repairs, the cheapest is kept.
    """

    why: ClassVar[str]
    cost: ClassVar[int] = 1

    @abstractmethod
    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        """Return the changed configuration, or None if there is nothing to change."""


# ------------------------------------------------------------------------------------------- changing a configuration


def with_data(config: RunConfig, **changes: Any) -> RunConfig | None:
    """Return the configuration with changed data settings, or None if they are set already."""
    data = config.data or DataSettings()
    if all(getattr(data, name) == value for name, value in changes.items()):
        return None
    return dataclasses.replace(config, data=dataclasses.replace(data, **changes))


def with_training(config: RunConfig, **changes: Any) -> RunConfig:
    """Return the configuration with changed training settings."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))


def with_optimizer(config: RunConfig, **changes: Any) -> RunConfig:
    """Return the configuration with changed optimizer settings."""
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, **changes))


def with_entries(config: RunConfig, change: Callable[[Entry], Entry | None]) -> RunConfig | None:
    """Return the configuration with `change` applied to each network entry (None drops it); None if nothing changes."""
    changed = [(i, new) for i, entry in enumerate(config.network) if (new := change(entry)) is not None]
    return None if tuple(entry for _, entry in changed) == config.network else rearranged(config, changed)


def with_layers(config: RunConfig, places: Collection[int], **changes: Any) -> RunConfig | None:
    """Return the configuration with changed settings of the layers at these indices; None without indices."""
    entries = (with_layer(entry, **changes) if i in places else entry for i, entry in enumerate(config.network))
    return dataclasses.replace(config, network=tuple(entries)) if places else None


def with_behind(config: RunConfig, places: Collection[int], layer: Layer) -> RunConfig | None:
    """Return the configuration with a layer inserted after the entries at these indices; None without indices."""
    entries: list[tuple[int | None, Entry]] = []
    for i, entry in enumerate(config.network):
        entries += [(i, entry), (None, Entry(layer))] if i in places else [(i, entry)]
    return rearranged(config, entries) if places else None


def rearranged(config: RunConfig, entries: Sequence[tuple[int | None, Entry]]) -> RunConfig:
    """Return the configuration with these entries, each with its index among the old ones (None for a new entry).

    Entries without a name are numbered by kind. If a pattern or a reference uses a name that an entry would lose or
    that another would take over, the entry keeps its name; patterns that match only dropped entries are removed.
    """
    before = names_of(config.network)
    config = _without_idle_patterns(config, before, [before[i] for i, _ in entries if i is not None])
    references = {name.partition(".")[0] for name in _references(config)}
    heads = {pattern.partition("/")[0] for pattern in _patterns(config)}
    network: list[Entry] = []
    for i, entry in entries:
        old, new = "" if i is None else before[i], names_of([*network, entry])[-1]
        by_pattern = any(fnmatchcase(old, head) != fnmatchcase(new, head) for head in heads)
        keeps_name = i is not None and old != new and (by_pattern or bool({old, new} & references))
        network.append(dataclasses.replace(entry, name=old) if keeps_name else entry)
    return dataclasses.replace(config, network=tuple(network))


def names_of(entries: Sequence[Entry]) -> list[str]:
    """Return the name of each entry: the configured one, else kind and number."""
    counts: Counter[str] = Counter()
    names = []
    for entry in entries:
        kind = str(getattr(entry.layer, "registered_name", ""))
        counts[kind] += entry.name is None
        names.append(f"{kind}_{counts[kind]}" if entry.name is None else entry.name)
    return names


def _references(config: RunConfig) -> Iterator[str]:
    """Yield the names of entries that other entries and losses refer to."""
    for entry in config.network:
        yield from entry.inputs or ()
        yield from (owner.partition("/")[0] for _, owner in entry.share)
    yield from (name for name, _ in config.losses)


def _patterns(config: RunConfig) -> Iterator[str]:
    """Yield the patterns that select parameters by path."""
    yield from config.freeze
    for penalty in config.penalties:
        yield from penalty.parameters


def _without_idle_patterns(config: RunConfig, before: Sequence[str], after: Sequence[str]) -> RunConfig:
    """Return the configuration without patterns that match only removed entries, and without penalties on them."""

    def matches(pattern: str, names: Sequence[str]) -> bool:
        return any(fnmatchcase(name, pattern.partition("/")[0]) for name in names)

    def remaining(patterns: Sequence[str]) -> tuple[str, ...]:
        return tuple(pattern for pattern in patterns if matches(pattern, after) or not matches(pattern, before))

    penalties = tuple(
        dataclasses.replace(penalty, parameters=remaining(penalty.parameters))
        for penalty in config.penalties
        if remaining(penalty.parameters) or not penalty.parameters  # no pattern means all weights
    )
    return dataclasses.replace(config, freeze=remaining(config.freeze), penalties=penalties)


def with_layer(entry: Entry, **changes: Any) -> Entry:
    """Return the entry with changed settings of its layer."""
    return dataclasses.replace(entry, layer=dataclasses.replace(entry.layer, **changes))
