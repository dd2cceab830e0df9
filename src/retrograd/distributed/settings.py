"""The `distributed:` section of a configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from retrograd.base.annotations import Custom, Expect, Words, show
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.base.schema import Settings

DATA, MODEL = AXES = ("data", "model")  # of the mesh
Rule = tuple[str, tuple[str | None, ...]]  # a pattern of paths, and the axis of the mesh for each axis of the tensor
EXPECTED = "[pattern, [axis, ...]] with data, model or null for each axis of the tensor, as [*/weight, [null, model]]"


def _parse_rules(value: Any, path: str) -> tuple[Rule, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"expected a list of {EXPECTED}; found {show(value)}", where=path)
    return tuple(_rule(item, f"{path}.{number}") for number, item in enumerate(value))


def _rule(item: Any, path: str) -> Rule:
    match item:
        case [str(pattern), list(axes) | tuple(axes)] if all(axis in (None, *AXES) for axis in axes):
            named = [axis for axis in axes if axis]
            if len(named) == len(set(named)):
                return pattern, tuple(axes)
            raise ConfigError(f"{show(item)} cuts two axes along one of the mesh", where=path, cure="cut one of them")
    raise ConfigError(f"expected {EXPECTED}; found {show(item)}", where=path)


def _rules_schema() -> dict[str, Any]:
    axes = {"type": "array", "items": {"enum": [*AXES, None]}}
    return {
        "type": "array",
        "items": {"type": "array", "prefixItems": [{"type": "string"}, axes], "minItems": 2, "maxItems": 2},
    }


Rules = Annotated[
    tuple[Rule, ...],
    Custom(
        _parse_rules,
        lambda value, filled: [[pattern, list(axes)] for pattern, axes in value],
        _rules_schema,
        "a list of [pattern, [axis, ...]]",
    ),
]
Count = Annotated[PositiveInt | Literal["auto"], Expect("a positive integer, or auto")]
Extent = Annotated[int, Field(ge=-1), Expect("a positive integer, or -1 for all that are left")]


@dataclass(frozen=True)
class MeshSettings(Settings):
    """How the devices of all processes are laid out: the rows of a batch are cut along `data`."""

    data: Annotated[
        Extent,
        Words("how many parts the rows of a batch are cut into", why="-1: as many as there are devices for"),
    ] = -1
    model: Annotated[
        Extent, Words("how many parts parameters can be cut into besides", why="1: devices serve the rows alone")
    ] = 1

    def rules(self) -> Iterator[Problem]:
        """An extent is not 0, and one alone can follow from the other."""
        for name in AXES:
            if getattr(self, name) == 0:
                yield Problem(name, "0 devices", "a positive integer, or -1 for all that are left")
        if self.data == self.model == -1:
            yield Problem("model", "-1 as well as `data`", "give one of them")


@dataclass(frozen=True)
class Distributed(Settings):
    """Training in several processes, and on several devices: each computes its rows of every batch.

    The batch, and so the result, does not depend on how many there are.
    """

    processes: Annotated[
        Count,
        Words(
            "how many processes take part",
            why="auto: as many as `retrograd launch`, srun, mpirun or Kubernetes started",
        ),
    ] = "auto"
    mesh: Annotated[MeshSettings, Words("how all devices are laid out")] = MeshSettings()
    shard: Annotated[
        Rules,
        Words(
            "parameters that are cut among the devices, by pattern: the first that matches and divides counts",
            why="none: every device has all parameters",
        ),
    ] = ()
    coordinator: Annotated[
        str | None,
        Words("HOST:PORT where the processes meet, on the machine of rank 0", why="none: what the launcher says"),
    ] = None
    timeout: Annotated[
        PositiveFloat,
        Words(
            "seconds within which all processes must have come; one that gives no sign of life for half of it is stuck",
            more="bears slower starts and longer pauses",
            less="notices a stuck process sooner",
            why="a start on a busy cluster takes less than a minute",
        ),
    ] = 60.0

    def rules(self) -> Iterator[Problem]:
        """The coordinator is a host and a port."""
        if self.coordinator is not None:
            host, _, port = self.coordinator.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                yield Problem("coordinator", f"expected HOST:PORT, found '{self.coordinator}'", "as node1:4321")
