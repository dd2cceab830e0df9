"""A network's answers over the plane of its two inputs at some epochs: `plane.json` in the folder of its run."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from retrograd.base.errors import DataError
from retrograd.record.files import read_text, write_file
from retrograd.record.layout import PLANE
from retrograd.record.strict_json import parse_json, write_json

MAX_BYTES = 2**21


@dataclass(frozen=True)
class Sample:
    """The answers at the end of an epoch (0: before training), base64 of a byte a cell, the row of largest y first.

    `shades` are 255 times the probability of the second of two classes, of the likeliest of several (whose numbers are
    `winners`), or the place of a quantity between the lowest and the highest.
    """

    epoch: int
    shades: str
    winners: str = ""


@dataclass(frozen=True)
class Point:
    """A training row: its two inputs, and its class number or its target."""

    x: float
    y: float
    target: float


@dataclass(frozen=True)
class Plane:
    """The plane from `low` to `high` in the units of the two `columns`, in side x side cells.

    `classes` are the classes' names; of a quantity there are none, and `values` are the lowest and the highest answer.
    `points` are some of the `rows` training rows; the weights of epoch `best` were kept.
    """

    columns: tuple[str, str]
    low: tuple[float, float]
    high: tuple[float, float]
    side: int
    target: str
    classes: tuple[str, ...]
    values: tuple[float, float]
    rows: int
    points: tuple[Point, ...]
    samples: tuple[Sample, ...]
    best: int | None = None


def write_plane(folder: Path, plane: Plane) -> None:
    """Write the answers into a run's folder.

    Raises:  ResourceError when the disk refuses
    """
    write_file(folder / PLANE, write_json(asdict(plane)).encode() + b"\n")


def read_plane(folder: Path) -> Plane | None:
    """Return a run's answers over the plane; None where there are none.

    Raises:  DataError for a file that holds something else
    """
    path = folder / PLANE
    if not path.is_file():
        return None
    try:
        return _adapter().validate_python(parse_json(read_text(path, MAX_BYTES)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise DataError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", where=str(path)) from None
    except ValueError as error:
        raise DataError(str(error), where=str(path)) from None


@functools.cache
def _adapter() -> TypeAdapter[Plane]:
    return TypeAdapter(Plane)
