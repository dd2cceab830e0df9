"""A network's answers over the plane of its two inputs at some epochs: `plane.json` in the folder of its run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import PLANE

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
    write_checked(folder / PLANE, plane)


def read_plane(folder: Path) -> Plane | None:
    """Return a run's answers over the plane; None where there are none.

    Raises:  DataError for a file that holds something else
    """
    return read_checked(folder / PLANE, Plane, MAX_BYTES)
