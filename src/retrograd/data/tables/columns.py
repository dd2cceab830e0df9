"""Fitted columns of a table: each turns its cells into numbers and can be written to JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.cells.date_forms import has_week, has_year
from retrograd.data.cells.dates import is_date_form
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.cells.precision import floats
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, Scale, plain_scale
from retrograd.data.tables.scaling import Finite, Scaling, fit_scaling

YEAR_DAYS, WEEK_DAYS, DAY = 365.2425, 7.0, 1.0  # the cycles of a date, in days


@dataclass(frozen=True)
class FittedColumn(ABC):
    """The base of fitted columns. `flag` adds a feature that is 1 for a missing value."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    flag: bool

    @property
    def column_kind(self) -> ColumnKind:
        """How cells of this column are read."""
        return ColumnKind(self.kind)  # type: ignore[attr-defined]

    @property
    def value_features(self) -> tuple[str, ...]:
        """The names of the features without the flag."""
        return (self.name,)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes."""
        return (*self.value_features, f"{self.name}_missing") if self.flag else self.value_features

    def encode(self, values: pl.Series) -> np.ndarray:
        """Return the features of parsed values, float32 [rows, features]."""
        with np.errstate(over="ignore"):  # overflow gives infinity, which the caller rejects
            encoded = self.encode_values(values).astype(floats())
        return np.column_stack([encoded, values.is_null().to_numpy().astype(floats())]) if self.flag else encoded

    @property
    def sizes(self) -> dict[str, int]:
        """The batch columns of identifiers beside `x`, and how many identifiers each has."""
        return {}

    @property
    def beside(self) -> tuple[str, ...]:
        """The batch columns beside `x`."""
        return tuple(self.sizes)

    merging: ClassVar[str] = ""  # the setting that removes the column's own batch column

    def batch_columns(self, values: pl.Series, report: Report) -> dict[str, np.ndarray]:
        """Return the batch columns beside `x`."""
        return {}

    def count(self, values: pl.Series, report: Report) -> None:
        """Count missing and unknown cells in the report."""
        if values.null_count():
            report.missing[self.name] += values.null_count()

    @abstractmethod
    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return the features without the flag; a missing value is filled."""


@dataclass(frozen=True)
class NumberColumn(FittedColumn):
    """A column of numbers, scaled; missing values become `fill`."""

    fill: Finite
    scaling: Scaling
    kind: Literal["number"] = "number"

    def __post_init__(self) -> None:
        _check_width(self.scaling)

    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return the scaled numbers [rows, 1]."""
        present = values.fill_null(self.fill) if values.null_count() else values
        return self.scaling.apply(present.to_numpy()[:, None])


@dataclass(frozen=True)
class BooleanColumn(FittedColumn):
    """A column of booleans as 0 and 1; missing values become `fill`, the share of true."""

    fill: Finite
    kind: Literal["boolean"] = "boolean"

    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return 0 and 1 [rows, 1]."""
        return values.fill_null(self.fill).to_numpy()[:, None]


@dataclass(frozen=True)
class DateColumn(FittedColumn):
    """A column of dates: days since 1970, scaled, and sine and cosine of the position in year, week and day.

    Week and year are included only if the form contains them, the day only if there are times.
    """

    form: str
    times: bool
    fill: Finite
    scaling: Scaling
    kind: Literal["date"] = "date"

    def __post_init__(self) -> None:
        _check_width(self.scaling)
        if not is_date_form(self.form):
            raise ValueError(f"'{self.form}' is not a date format")

    @property
    def column_kind(self) -> ColumnKind:
        """How cells of this column are read."""
        return ColumnKind("date", self.form)

    @property
    def cycles(self) -> dict[str, float]:
        """Names and lengths (in days) of the cycles that become features."""
        cycles = {"year": YEAR_DAYS} if has_year(self.form) else {}
        cycles |= {"week": WEEK_DAYS} if has_week(self.form) else {}
        return {**cycles, "day": DAY} if self.times else cycles

    @property
    def value_features(self) -> tuple[str, ...]:
        """The names of the features without the flag."""
        waves = [f"{self.name}_{cycle}_{wave}" for cycle in self.cycles for wave in ("sin", "cos")]
        return (self.name, *waves)

    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return the scaled days and the cycles [rows, 1 + 2 cycles]."""
        days = values.fill_null(self.fill).to_numpy()
        angles = [2 * np.pi * days / length for length in self.cycles.values()]
        waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
        return np.column_stack([self.scaling.apply(days[:, None]), *waves])


@dataclass(frozen=True)
class CategoryColumn(FittedColumn):
    """A column of words known from training: a 0/1 feature for each, or an identifier for an embedding.

    A missing or unseen word has all features 0, or identifier 0; known words have identifiers from 1.
    """

    words: Annotated[tuple[str, ...], Field(min_length=1)]
    embed: bool
    kind: Literal["category"] = "category"

    def __post_init__(self) -> None:
        if len(set(self.words)) < len(self.words):
            raise ValueError("a word appears twice")

    @property
    def value_features(self) -> tuple[str, ...]:
        """The names of the features without the flag."""
        return () if self.embed else tuple(f"{self.name}={word}" for word in self.words)

    @property
    def sizes(self) -> dict[str, int]:
        """The batch column of identifiers, if the column is embedded."""
        return {self.name: len(self.words) + 1} if self.embed else {}

    merging: ClassVar[str] = "choose " + data_setting("categories", "one_hot")

    def batch_columns(self, values: pl.Series, report: Report) -> dict[str, np.ndarray]:
        """Return the identifiers, int32 [rows], if the column is embedded."""
        return {self.name: self.identifiers(values)} if self.embed else {}

    def count(self, values: pl.Series, report: Report) -> None:
        """Count missing and unseen words."""
        super().count(values, report)
        unseen = values.filter(values.is_not_null() & ~values.is_in(list(self.words)))
        if len(unseen):
            report.unseen[self.name] += len(unseen)
            report.examples.setdefault(self.name, unseen[0])

    def identifiers(self, values: pl.Series) -> np.ndarray:
        """Return each word's identifier, 0 for a missing or unseen word, int32 [rows]."""
        numbers = {word: i for i, word in enumerate(self.words, start=1)}
        return values.replace_strict(numbers, default=0, return_dtype=pl.Int32).fill_null(0).to_numpy()

    def encode_values(self, values: pl.Series) -> np.ndarray:
        """Return the one-hot rows [rows, words], or no feature for an embedded column."""
        if self.embed:
            return np.empty((len(values), 0))
        hot: np.ndarray = self.identifiers(values)[:, None] == np.arange(1, len(self.words) + 1)
        return hot


Column = NumberColumn | BooleanColumn | DateColumn | CategoryColumn


def fit_column(name: str, kind: ColumnKind, values: pl.Series, settings: DataSettings, scale: Scale) -> Column:
    """Return a column fitted on the parsed values of the training rows.

    Raises:  DataError if the training rows have no value
    """
    present = values.drop_nulls() if values.null_count() else values
    if present.is_empty():
        raise DataError(
            f"column '{name}' is empty in the training part",
            cure="remove it with " + data_setting("exclude", f"[{name}]"),
        )
    flag = len(present) < len(values)
    if kind.kind == "category":
        return _fit_category(name, present, flag, settings)
    middle = present.median() if settings.missing == "median" else present.mean()
    assert isinstance(middle, (int, float)), kind
    fill = float(middle)
    if kind.kind == "boolean":
        return BooleanColumn(name, flag, fill)
    scaling = _fit_scaling(name, present, scale, settings.clip)
    if kind.kind == "date":
        has_times = bool((present % 1 != 0).any())
        return DateColumn(name, flag, kind.form, has_times, fill, scaling)
    return NumberColumn(name, flag, fill, scaling)


def _check_width(scaling: Scaling) -> None:
    if len(scaling.scale) != 1:
        raise ValueError("a column has one scale")


def _fit_scaling(name: str, present: pl.Series, scale: Scale, clip: float | None) -> Scaling:
    method, divisor = plain_scale(scale)
    try:
        return fit_scaling(present.to_numpy()[:, None], method, divisor, clip)
    except DataError as error:
        raise DataError(f"column '{name}': " + error.problems[0].message, cure=error.problems[0].cure) from None


def _fit_category(name: str, present: pl.Series, flag: bool, settings: DataSettings) -> CategoryColumn:
    """Keep the most frequent words, sorted; ties are broken alphabetically, so that the result is reproducible."""
    counts = present.alias("word").value_counts(name="rows").sort(["rows", "word"], descending=[True, False])
    words = counts["word"].head(settings.max_categories)
    return CategoryColumn(name, flag, tuple(sorted(words.to_list())), settings.categories == "embed")
