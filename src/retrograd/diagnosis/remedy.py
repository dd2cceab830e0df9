"""What a remedy is: a named change of a configuration, with its reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any, ClassVar

from retrograd.base.registry import Registry
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.program import Program
from retrograd.network.layer import Layer
from retrograd.network.scope import Entry
from retrograd.training.config.config import RunConfig

remedies: Registry[Remedy] = Registry("remedy")


class Remedy:
    """A change of the configuration. `why` is the reason that is shown beside it.

    `cost` is how much it takes from the user's own choices, from 1 (a number) to 3 (another network): of repairs that
    are as good, the cheapest is kept.
    """

    why: ClassVar[str]
    cost: ClassVar[int] = 1

    def change(self, config: RunConfig, program: Program) -> RunConfig | None:
        """Return the changed configuration, or None where there is nothing to change."""
        raise NotImplementedError(f"{type(self).__name__} must say in `change` what it changes")


# ------------------------------------------------------------------------------------------- changing a configuration


def with_data(config: RunConfig, **changes: Any) -> RunConfig | None:
    """Return the configuration with other settings of its data, or None where they are set already."""
    held = config.data or DataSettings()
    if all(getattr(held, name) == value for name, value in changes.items()):
        return None
    return dataclasses.replace(config, data=dataclasses.replace(held, **changes))


def with_training(config: RunConfig, **changes: Any) -> RunConfig:
    """Return the configuration with other settings of its training."""
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))


def with_optimizer(config: RunConfig, **changes: Any) -> RunConfig:
    """Return the configuration with other settings of its optimiser."""
    return dataclasses.replace(config, optimizer=dataclasses.replace(config.optimizer, **changes))


def with_entries(config: RunConfig, change: Callable[[Entry], Entry | None]) -> RunConfig | None:
    """Return the configuration with each entry of its network changed (None drops it), or None if all stay."""
    entries = [change(entry) for entry in config.network]
    kept = tuple(entry for entry in entries if entry is not None)
    return None if kept == config.network else dataclasses.replace(config, network=kept)


def with_layers(config: RunConfig, places: Collection[int], **changes: Any) -> RunConfig | None:
    """Return the configuration with other settings of the layers in some places, or None for no place."""
    entries = (with_layer(entry, **changes) if i in places else entry for i, entry in enumerate(config.network))
    return dataclasses.replace(config, network=tuple(entries)) if places else None


def with_behind(config: RunConfig, places: Collection[int], layer: Layer) -> RunConfig | None:
    """Return the configuration with a layer put behind the entries in some places, or None for no place."""
    entries: list[Entry] = []
    for i, entry in enumerate(config.network):
        entries += [entry, Entry(layer)] if i in places else [entry]
    return dataclasses.replace(config, network=tuple(entries)) if places else None


def with_layer(entry: Entry, **changes: Any) -> Entry:
    """Return the entry with other settings of its layer."""
    return dataclasses.replace(entry, layer=dataclasses.replace(entry.layer, **changes))
