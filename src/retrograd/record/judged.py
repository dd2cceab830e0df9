"""How a trained network answered the rows of one part, in `predictions.json`: small whatever the data are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from retrograd.record.checked_json import read_checked, write_checked
from retrograd.record.layout import PREDICTIONS

MAX_BYTES = 2**22


@dataclass(frozen=True)
class Mistaken:
    """Rows of one class that were taken for another: how many, and which share of the class."""

    truth: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True)
class LabelCounts:
    """One label of several: rows with and without it (true) by what the network said."""

    name: str
    hits: int
    misses: int
    false_alarms: int
    rejections: int


@dataclass(frozen=True)
class Residuals:
    """One target's predictions against its true values, in its own unit.

    `quantiles` are those of prediction - truth at `QUANTILES`. Of few rows `points` holds each (truth, prediction); of
    many `counts` holds the rows in equal cells [prediction][truth] from `low` to `high` in both directions.
    """

    target: str
    quantiles: tuple[float, ...]
    low: float
    high: float
    points: tuple[tuple[float, float], ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Picture:
    """A small picture: base64 of its bytes [height, width] in grey, or [height, width, 3]."""

    width: int
    height: int
    channels: int
    pixels: str


@dataclass(frozen=True)
class WorstRow:
    """A row with a large loss: where it stands, what it is, what the network took it for and how surely."""

    place: str
    loss: float
    truth: str
    answer: str
    probability: float | None = None
    cells: dict[str, str] | None = None
    picture: Picture | None = None


@dataclass(frozen=True)
class Judged:
    """The answers for one part of the data.

    `classes` and `counts` [true][predicted] are the confusion matrix of up to MOST_CLASSES classes; of more there are
    only the most confused `pairs`. `unit` is what was counted (rows, pixels), `measure` what the worst rows' loss is;
    `nonfinite` rows had no answer.
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
    """Write the answers into a run's folder.

    Raises:  ResourceError when the disk refuses
    """
    write_checked(folder / PREDICTIONS, judged)


def read_judged(folder: Path) -> Judged | None:
    """Return a run's answers; None where there are none.

    Raises:  DataError for a file that holds something else
    """
    return read_checked(folder / PREDICTIONS, Judged, MAX_BYTES)
