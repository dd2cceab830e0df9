"""A network's outputs over the plane of its two inputs at some epochs: `plane.json` in its run folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import PLANE

MAX_BYTES = 2**21


@dataclass(frozen=True)
class Sample:
    """The outputs after an epoch (0: before training): base64 of one byte per cell, the row with the largest y first.

    `shades` are 255 times the probability of the second of two classes, of the most likely of several (whose numbers
    are `winners`), or the position of a quantity between the lowest and the highest.
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

    `classes` are the names of the classes; a quantity has none, and `values` are its lowest and highest output.
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
    """Write the outputs to a run folder.

    Raises:  ResourceError if writing fails
    """
    write_checked(folder / PLANE, plane)


def read_plane(folder: Path) -> Plane | None:
    """Return a run's outputs over the plane; None if there are none.

    Raises:  DataError if the file contains something else
    """
    return read_checked(folder / PLANE, Plane, MAX_BYTES)
