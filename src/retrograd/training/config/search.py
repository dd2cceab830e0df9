"""The `search:` section of a configuration: which settings to try, with which values, and by which method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from retrograd.base.annotations import Words, show
from retrograd.base.errors import ConfigError, did_you_mean
from retrograd.base.json_schema import json_schema
from retrograd.base.quantities import AnySeed, PositiveInt
from retrograd.base.schema import Settings, dump, fields, parse

Kind = Literal["choice", "log", "linear", "integer"]
RANGES = ("log", "linear", "integer")
EPOCHS = "training.epochs"
POINTS = 5  # grid points per range
DIGITS = 3  # significant digits of a drawn number: more would pretend a precision that no search has


@dataclass(frozen=True)
class Range:
    """The values that one setting may take: a list, or all numbers in an interval."""

    kind: Kind
    values: tuple[Any, ...]

    def at(self, share: float) -> Any:
        """Return the value at a position of 0 to 1 along the range."""
        if self.kind == "choice":
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        low, high = self.values
        if self.kind == "integer":
            return int(low) + min(int(share * (high - low + 1)), int(high - low))
        value = (
            math.exp(math.log(low) + share * math.log(high / low)) if self.kind == "log" else low + share * (high - low)
        )
        return float(f"{value:.{DIGITS}g}")

    def share(self, value: Any) -> float:
        """Return the position of a value along the range, from 0 to 1."""
        if self.kind == "choice":
            return self.values.index(value) / max(len(self.values) - 1, 1)
        low, high = self.values
        return math.log(value / low) / math.log(high / low) if self.kind == "log" else (value - low) / (high - low)

    def points(self, most: int = POINTS) -> tuple[Any, ...]:
        """Return the grid values: all of a list, or points of an interval including its ends."""
        if self.kind == "choice":
            return self.values
        if self.kind == "integer":
            most = min(most, int(self.values[1] - self.values[0]) + 1)
            ends = (
                round(self.values[0] + i * (self.values[1] - self.values[0]) / max(most - 1, 1)) for i in range(most)
            )
            return tuple(dict.fromkeys(int(value) for value in ends))
        return tuple(dict.fromkeys(self.at(i / (most - 1)) for i in range(most)))

    def plain(self) -> Any:
        """Return the range in configuration syntax."""
        return list(self.values) if self.kind == "choice" else {self.kind: list(self.values)}


@dataclass(frozen=True)
class Options(Settings):
    """How settings are chosen and compared."""

    method: Annotated[
        Literal["halving", "grid", "random", "tpe"],
        Words("how settings are chosen", why="halving: bad settings cost only part of the epochs"),
    ] = "halving"
    metric: Annotated[str, Words("metric to compare settings by, e.g. `loss` or `accuracy`")] = "loss"
    seeds: Annotated[
        PositiveInt,
        Words("trials per setting, each with another seed", more="compares more reliably, costs more"),
    ] = 1
    trials: Annotated[
        PositiveInt | None,
        Words("number of settings to try", why="none: 27, or all points of a grid; with a time budget, as many as fit"),
    ] = None
    seed: Annotated[AnySeed, Words("seed for drawing settings")] = 0


OPTIONS = tuple(field.name for field in fields(Options))


@dataclass(frozen=True)
class Search:
    """What `retrograd tune` tries: ranges by their `--set` paths, and how they are searched."""

    ranges: tuple[tuple[str, Range], ...]
    options: Options

    @property
    def reads_data(self) -> bool:
        """Whether a range changes how the data are read, so that each trial must read them again."""
        return any(path.partition(".")[0] == "data" for path, _ in self.ranges)

    def place(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the position of each setting along its range."""
        return tuple(span.share(values[path]) for path, span in self.ranges)

    def plain(self) -> dict[str, Any]:
        """Return the section in configuration syntax."""
        options = {name: value for name, value in dump(self.options).items() if value is not None}
        return {path: values.plain() for path, values in self.ranges} | options


def parse_search(value: Any, path: str) -> Search | None:
    """Parse the section from a mapping of paths and options.

    Raises:  ConfigError naming the invalid entry
    """
    if value is None or isinstance(value, Search):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"expected a mapping of settings and their values, found {show(value)}", where=path)
    ranges = tuple(
        (str(name), parse_range(values, f"{path}.{name}")) for name, values in value.items() if name not in OPTIONS
    )
    if not ranges:
        cure = "as in {optimizer.adam.learning_rate: {log: [1.0e-5, 1]}, method: halving}"
        raise ConfigError("names no setting to try", where=path, cure=cure)
    if any(name == EPOCHS for name, _ in ranges):
        cure = "set training.epochs itself; halving gives most settings only part of them"
        message = "every setting trains for the same number of epochs: a range has no effect"
        raise ConfigError(message, where=f"{path}.{EPOCHS}", cure=cure)
    return Search(ranges, parse(Options, {name: value[name] for name in OPTIONS if name in value}, path))


def parse_range(value: Any, path: str) -> Range:
    """Parse the values that one setting may take.

    Raises:  ConfigError for anything but a list, {log: [low, high]}, {linear: ...} or {integer: ...}
    """
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return Range("choice", tuple(value))
    expected = "expected a list of values, or {log: [low, high]}, {linear: [low, high]} or {integer: [low, high]}"
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ConfigError(f"{expected}, found {show(value)}", where=path)
    kind, ends = next(iter(value.items()))
    if kind not in RANGES:
        raise ConfigError(f"unknown range {show(kind)}", where=path, cure=did_you_mean(str(kind), RANGES))
    is_pair = isinstance(ends, Sequence) and not isinstance(ends, str) and len(ends) == 2
    if not is_pair or not all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in ends):
        raise ConfigError(f"expected two numbers, found {show(ends)}", where=f"{path}.{kind}")
    low, high = ends
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ConfigError(f"expected the smaller number first, found {show(list(ends))}", where=f"{path}.{kind}")
    if kind == "log" and low <= 0:
        raise ConfigError(
            f"a logarithm needs numbers > 0, found {low:g}", where=f"{path}.log", cure="use linear, or a small number"
        )
    if kind == "integer" and (low != int(low) or high != int(high)):
        raise ConfigError(f"expected whole numbers, found {show(list(ends))}", where=f"{path}.integer")
    return Range(kind, (low, high))


def search_schema() -> dict[str, Any]:
    """Return the JSON Schema of the section."""
    pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    between = {"type": "object", "properties": dict.fromkeys(RANGES, pair), "additionalProperties": False,
               "minProperties": 1, "maxProperties": 1}  # fmt: skip
    values = {"anyOf": [{"type": "array", "minItems": 1}, between]}
    return json_schema(Options) | {"type": ["object", "null"], "additionalProperties": values}
