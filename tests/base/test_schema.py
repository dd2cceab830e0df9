"""Settings: read, checked, written back; every mistake at once, each with its place."""

from dataclasses import FrozenInstanceError, dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from retrograd.base.annotations import Custom, Registered, describe, show
from retrograd.base.errors import ConfigError, Problem
from retrograd.base.json_schema import json_schema, registry_definition
from retrograd.base.quantities import Fraction, NonNegativeInt, Number, PositiveFloat, PositiveInt
from retrograd.base.registry import Registry
from retrograd.base.schema import Settings, dump, dump_registered, fields, parse, parse_registered

shapes: Registry[Any] = Registry("shape")


@shapes.register("circle")
@dataclass(frozen=True)
class Circle(Settings):
    """Round."""

    radius: PositiveFloat


@shapes.register("square")
@dataclass(frozen=True)
class Square(Settings):
    """Not round."""

    side: PositiveFloat = 1.0
    colour: Literal["red", "green"] = "red"


@shapes.register("plain")
@dataclass(frozen=True)
class Plain(Settings):
    """Written as its number alone."""

    number: Number
    plain_form = True


@dataclass(frozen=True)
class Inner(Settings):
    """Two numbers, in order."""

    low: NonNegativeInt = 0
    high: NonNegativeInt = 10

    def rules(self):
        if self.low > self.high:
            yield Problem("low", f"expected at most {self.high}, found {self.low}")


def _parse_grid(value: Any, path: str) -> tuple[int, ...]:
    if isinstance(value, tuple):  # a copy of settings is read once more
        return value
    if not isinstance(value, str) or not all(part.isdigit() for part in value.split("x")):
        raise ConfigError(f"expected a grid such as 2x3, found {show(value)}", where=path)
    return tuple(int(part) for part in value.split("x"))


def _dump_grid(value: Any, filled: bool) -> str:
    return "x".join(map(str, value))


GRID = Custom(_parse_grid, _dump_grid, lambda: {"type": "string"}, "a grid")


@dataclass(frozen=True)
class Outer(Settings):
    """One of each kind of field."""

    count: PositiveInt
    rate: Fraction = 0.5
    sizes: tuple[PositiveInt, ...] = ()
    inner: Inner = Inner()
    maybe: Inner | None = None
    shape: Annotated[Any, Registered(shapes, otherwise=Number, coerce=Plain)] = Square()
    round_only: Annotated[Any | None, Registered(shapes, only=Circle)] = None
    grid: Annotated[tuple[int, ...], GRID] = (1, 1)


EXAMPLES = [
    {"count": 3},
    {"count": 3, "rate": 0.25, "sizes": [1, 2], "inner": {"low": 2}, "maybe": {"high": 4}},
    {"count": 1, "shape": {"circle": {"radius": 2.0}}, "round_only": {"circle": {"radius": 1.0}}, "grid": "2x3"},
    {"count": 1, "shape": 0.5},
]


@pytest.mark.parametrize("plain", EXAMPLES, ids=str)
def test_what_is_read_is_written_back(plain):
    settings = parse(Outer, plain)
    assert dump(settings, filled=False) == plain
    assert parse(Outer, dump(settings)) == settings
    assert hash(parse(Outer, plain)) == hash(settings)


def test_defaults_are_written_when_asked():
    assert dump(Outer(1)) == {
        "count": 1, "rate": 0.5, "sizes": [], "inner": {"low": 0, "high": 10}, "maybe": None,
        "shape": {"square": {"side": 1.0, "colour": "red"}}, "round_only": None, "grid": "1x1",
    }  # fmt: skip


def test_a_value_alone_is_the_first_field():
    assert parse(Outer, 4) == Outer(4)
    assert parse(Outer, {"count": 1, "inner": 3}).inner == Inner(3)
    assert parse_registered(shapes, {"circle": 2}) == Circle(2.0)


def test_python_and_numpy_values_are_taken_as_they_are_meant():
    settings = Outer(np.int64(3), sizes=[np.int32(1), 2])
    assert settings.sizes == (1, 2)
    assert type(settings.count) is int
    assert Circle(1) == Circle(1.0)


def test_a_copy_with_one_field_changed_keeps_the_others():
    settings = parse(Outer, EXAMPLES[2])
    assert replace(replace(settings, count=9), count=1) == settings


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        Outer(1).count = 2


@pytest.mark.parametrize(
    ("plain", "problems"),
    [
        ({}, ["run.count: missing; expected a positive integer"]),
        ({"cuont": 1}, ["run.cuont: unknown key; did you mean 'count'?", "run.count: missing; expected a positive integer"]),
        ({"count": 0, "rate": 1, "gird": 1}, ["run.gird: unknown key; did you mean 'grid'?", "run.count: expected a positive integer, found 0", "run.rate: expected a number in [0, 1), found 1"]),
        ({"count": True, "rate": float("nan")}, ["run.count: expected a positive integer, found true", "run.rate: expected a number in [0, 1), found nan"]),
        ({"count": "1"}, ["run.count: expected a positive integer, found '1'"]),
        ({"count": 1.0}, ["run.count: expected a positive integer, found 1.0"]),
        ({"count": None}, ["run.count: expected a positive integer, found null"]),
        ({"count": 1, "sizes": [1, 0]}, ["run.sizes: expected a list, each a positive integer, found [1, 0]"]),
        ({"count": 1, "sizes": 1}, ["run.sizes: expected a list, each a positive integer, found 1"]),
        ({"count": 1, "inner": {"low": 11}}, ["run.inner.low: expected at most 10, found 11"]),
        ({"count": 1, "inner": {"lo": 1, "high": -1}}, ["run.inner.lo: unknown key; did you mean 'low'?", "run.inner.high: expected an integer, 0 or larger, found -1"]),
        ({"count": 1, "shape": {"circel": 1}}, ["run.shape: unknown shape 'circel'; did you mean 'circle'?"]),
        ({"count": 1, "shape": "wide"}, ["run.shape: expected a finite number, or a shape; found 'wide'; known: circle, plain, square"]),
        ({"count": 1, "shape": {"circle": {"radius": 0}}}, ["run.shape.circle.radius: expected a finite number > 0, found 0"]),
        ({"count": 1, "shape": "circle"}, ["run.shape.circle.radius: missing; expected a finite number > 0"]),
        ({"count": 1, "shape": {"square": {"colour": "gren"}}}, ["run.shape.square.colour: expected one of red, green, found 'gren'; did you mean 'green'?"]),
        ({"count": 1, "shape": {"square": {}, "circle": {}}}, ["run.shape: expected a shape (its name, or {name: settings}), found "]),
        ({"count": 1, "round_only": "square"}, ["run.round_only: 'square' is not allowed here; choose one of circle"]),
        ({"count": 1, "grid": 3}, ["run.grid: expected a grid such as 2x3, found 3"]),
    ],
    ids=str,
)  # fmt: skip
def test_every_mistake_is_reported_at_once_with_its_place(plain, problems):
    with pytest.raises(ConfigError) as caught:
        parse(Outer, plain, "run")
    lines = str(caught.value).split("\n")
    assert len(lines) == len(problems), lines
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(problem)


def test_a_call_names_the_registered_name_and_the_field():
    with pytest.raises(ConfigError, match=r"^circle.radius: expected a finite number > 0, found -1$"):
        Circle(-1)


def test_a_registered_thing_is_written_by_its_name_alone_when_all_is_default():
    assert dump_registered(shapes, Square(), filled=False) == "square"
    assert dump_registered(shapes, Square(2.0), filled=False) == {"square": {"side": 2.0}}
    assert parse_registered(shapes, Square()) == parse_registered(shapes, "square") == Square()


def test_keyword_only_fields_come_last():
    assert [field.name for field in fields(Outer)][:3] == ["count", "rate", "sizes"]


def test_long_values_are_shortened_in_messages():
    assert len(show(list(range(1000)))) == 60
    assert (show(None), show(True), show((1, 2))) == ("null", "true", "[1, 2]")


def test_annotations_read_as_words():
    assert describe(int | None) == "an integer or null"
    assert describe(tuple[str, ...]) == "a list, each text"
    assert describe(dict[str, int]) == "a mapping"
    assert describe(Literal["a", 1]) == "one of a, 1"


def test_the_json_schema_says_what_the_annotations_say():
    schema = json_schema(Outer)
    assert schema["description"] == "One of each kind of field."
    assert schema["required"] == ["count"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["count"] == {"exclusiveMinimum": 0, "maximum": 2**31 - 1, "type": "integer"}
    assert schema["properties"]["rate"]["default"] == 0.5
    assert schema["properties"]["shape"]["anyOf"][0] == {"$ref": "#/$defs/shape"}
    assert registry_definition(shapes)["anyOf"][0] == {"enum": ["square"]}
