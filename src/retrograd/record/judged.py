"""A summary of a trained network's predictions for one part of the data, in `predictions.json`: always small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import PREDICTIONS

MAX_BYTES = 2**22


@dataclass(frozen=True)
class Mistaken:
    """Rows of one class predicted as another: how many, and their share of the class."""

    truth: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True)
class LabelCounts:
    """Confusion counts of one label: true positives, false negatives, false positives, true negatives."""

    name: str
    hits: int
    misses: int
    false_alarms: int
    rejections: int


@dataclass(frozen=True)
class Residuals:
    """Predictions of one target against its true values, in the target's unit.

    `quantiles` are those of prediction - truth at `QUANTILES`. For few rows, `points` contains every (truth,
    prediction); for many, `counts` is a histogram [prediction][truth] of equal cells from `low` to `high` on both axes.
    """

    target: str
    quantiles: tuple[float, ...]
    low: float
    high: float
    points: tuple[tuple[float, float], ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A small image: base64 of its bytes, [height, width] for grey or [height, width, 3] for colour."""

    width: int
    height: int
    channels: int
    pixels: str


@dataclass(frozen=True)
class WorstRow:
    """A row with a large loss: its place in the data, its true value, the prediction and its probability."""

    place: str
    loss: float
    truth: str
    answer: str
    probability: float | None = None
    cells: dict[str, str] | None = None
    picture: Picture | None = None


@dataclass(frozen=True)
class Judged:
    """The predictions for one part of the data.

    `classes` and `counts` [true][predicted] are the confusion matrix of up to MOST_CLASSES classes; with more classes
    there are only the most confused `pairs`. `unit` is what was counted (rows, pixels), `measure` is the kind of loss
    of the `worst` rows, and `nonfinite` rows have no prediction.
    """

    part: str
    count: int
    unit: str = "rows"
    right: int | None = None
    class_count: int = 0
    classes: tuple[str, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()
    pairs: tuple[Mistaken, ...] = ()
    pair_count: int = 0
    labels: tuple[LabelCounts, ...] = ()
    label_count: int = 0
    residuals: tuple[Residuals, ...] = ()
    target_count: int = 0
    measure: str = ""
    worst: tuple[WorstRow, ...] = ()
    nonfinite: int = 0


QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def write_judged(folder: Path, judged: Judged) -> None:
    """Write the predictions to a run folder.

    Raises:  ResourceError if writing fails
    """
    write_checked(folder / PREDICTIONS, judged)


def read_judged(folder: Path) -> Judged | None:
    """Return a run's predictions; None if there are none.

    Raises:  DataError if the file contains something else
    """
    return read_checked(folder / PREDICTIONS, Judged, MAX_BYTES)
