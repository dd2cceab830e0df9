"""What a run and its continuation must have in common, and all processes of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from retrograd.record.events import versions
from retrograd.training.config.config import plain_config, portable
from retrograd.training.prepare import Prepared

# Processes may differ in paths, whose contents are compared. A continuation may also differ in settings that change no
# number, and in which processes compute.
PLACES = ("name", "data.path", "data.valid_path", "data.test_path", "data.text.tokenizer", "data.cache",
          "data.max_bytes", "training.start", "weights.path")  # fmt: skip
FREE = (*PLACES, "training.checkpoint.seconds", "training.checkpoint.keep", "training.time_limit", "training.check")
FREE_SECTION = "distributed"


def may_differ(name: str) -> bool:
    """Return whether a setting may change in a continuation of a run."""
    return name in FREE or name.split(".")[0] == FREE_SECTION


def differences(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each value that differs between two mappings, and both values as text."""
    for name in sorted({*was, *is_now}):
        values = [str(side[name]) if name in side else "not set" for side in (was, is_now)]
        if values[0] != values[1]:
            yield name, values[0], values[1]


def flat(settings: Any, path: str = "") -> dict[str, Any]:
    """Return nested settings by their paths, e.g. `training.epochs`."""
    if isinstance(settings, Mapping):
        items = [(str(key), value) for key, value in settings.items()]
    elif isinstance(settings, (list, tuple)):
        items = [(str(number), value) for number, value in enumerate(settings)]
    else:
        return {path: settings}
    return {name: leaf for key, value in items for name, leaf in flat(value, f"{path}.{key}" if path else key).items()}


def agree(prepared: Prepared) -> None:
    """Wait for the other processes of a run; one with other versions, settings or data is named and ends all."""
    team = prepared.team
    if team.size == 1:
        return
    settings = flat(plain_config(portable(prepared.config)))
    team.same("library versions", versions())
    team.same("configuration", {name: value for name, value in settings.items() if name not in PLACES})
    team.same("content of the data (digest)", prepared.dataset.digest)
