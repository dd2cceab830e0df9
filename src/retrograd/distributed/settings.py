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
Rule = tuple[str, tuple[str | None, ...]]  # a path pattern, and the mesh axis for each axis of the tensor
EXPECTED = "[pattern, [axis, ...]] with data, model or null for each tensor axis, such as [*/weight, [null, model]]"


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
            raise ConfigError(f"{show(item)} cuts two axes along the same mesh axis", where=path, cure="cut only one")
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
Extent = Annotated[int, Field(ge=-1), Expect("a positive integer, or -1 for all remaining devices")]


@dataclass(frozen=True)
class MeshSettings(Settings):
    """How the devices of all processes form a mesh; the rows of a batch are cut along `data`."""

    data: Annotated[
        Extent,
        Words("number of parts that the rows of a batch are cut into", why="-1: all remaining devices"),
    ] = -1
    model: Annotated[
        Extent, Words("number of parts that parameters can be cut into", why="1: all devices share the rows")
    ] = 1

    def rules(self) -> Iterator[Problem]:
        """An extent is not 0, and at most one is -1."""
        for name in AXES:
            if getattr(self, name) == 0:
                yield Problem(name, "0 devices", "use a positive integer, or -1 for all remaining devices")
        if self.data == self.model == -1:
            yield Problem("model", "-1, as is `data`", "set one of them")


@dataclass(frozen=True)
class Distributed(Settings):
    """Training in several processes and on several devices, each computing its rows of every batch.

    The batch, and so the result, does not depend on their number.
    """

    processes: Annotated[
        Count,
        Words(
            "number of processes",
            why="auto: the number started by `retrograd launch`, srun, mpirun or Kubernetes",
        ),
    ] = "auto"
    mesh: Annotated[MeshSettings, Words("layout of all devices")] = MeshSettings()
    shard: Annotated[
        Rules,
        Words(
            "parameters to cut among the devices, by pattern: the first rule that matches and divides evenly applies",
            why="none: every device has all parameters",
        ),
    ] = ()
    coordinator: Annotated[
        str | None,
        Words("HOST:PORT where the processes meet, on the machine of rank 0", why="none: given by the launcher"),
    ] = None
    timeout: Annotated[
        PositiveFloat,
        Words(
            "seconds within which all processes must join; one silent for half as long counts as stuck",
            more="tolerates slower starts and longer pauses",
            less="notices a stuck process sooner",
            why="a start on a busy cluster takes less than a minute",
        ),
    ] = 60.0

    def rules(self) -> Iterator[Problem]:
        """The coordinator consists of a host and a port."""
        if self.coordinator is not None:
            host, _, port = self.coordinator.rpartition(":")
            if not host or not port.isdigit() or not 0 < int(port) < 65536:
                yield Problem("coordinator", f"expected HOST:PORT, found '{self.coordinator}'", "write e.g. node1:4321")
