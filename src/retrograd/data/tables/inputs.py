"""Fitted inputs: from a table's columns, or from arrays, to the columns of a batch."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError, RetrogradWarning, ShapeError
from retrograd.data.arrays import Arrays
from retrograd.data.cells.floats import floats
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, Scale, plain_scale
from retrograd.data.table import CellFaults, Table
from retrograd.data.tables.columns import CategoryColumn, Column, fit_column
from retrograd.data.tables.scaling import Scaling, fit_scaling
from retrograd.data.texts.column import TextColumn, fit_text_column
from retrograd.present.wording import some_of

BAD_CELL_CURE = (
    "`invalid: missing` takes such cells as missing (with `missing: drop` their rows are left out), "
    "`kinds: {{{columns}}}` keeps them as words"
)
NO_GAPS_CURE = "`missing: mean` or `missing: median` fills them, `missing: drop` leaves their rows out"


@dataclass(frozen=True)
class TableInputs:
    """The columns of a table that the network sees.

    `ignored` are columns of the training table that it does not see: they may be there or not.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    columns: tuple[Annotated[Column | TextColumn, Field(discriminator="kind")], ...]
    ignored: tuple[str, ...]
    missing_values: tuple[str, ...]
    invalid: Literal["error", "missing"]
    missing: Literal["mean", "median", "drop", "interpolate", "error"]
    kind: Literal["table"] = "table"

    def __post_init__(self) -> None:
        if len({column.name for column in self.columns}) < max(1, len(self.columns)):
            raise ValueError("columns must have different names, and there must be one")

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of `x`, in order."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers, and how many identifiers each has (0, unseen, included)."""
        categories = [column for column in self.columns if isinstance(column, CategoryColumn) and column.embed]
        texts = [column for column in self.columns if isinstance(column, TextColumn)]
        sizes = {column.name: len(column.words) + 1 for column in categories}
        return sizes | {column.tokens: column.vocabulary.size for column in texts}

    def encode(self, table: Table, report: Report) -> dict[str, np.ndarray]:
        """Return `x`, float32 [rows, features], and the identifiers of each embedded column, int32 [rows]; of a text
        column its tokens, int32 [rows, length], and their mask.

        Raises:  DataError for a missing or an unknown column, and for cells that are not of their column's kind
        """
        self.check_names(table, report)
        kinds = {column.name: column.column_kind for column in self.columns}
        parsed = parse_columns(table, kinds, self.invalid, self.missing, report)
        for column in self.columns:
            _count(column, parsed[column.name], report)
        encoded = [column.encode(parsed[column.name]) for column in self.columns]
        x = np.hstack(encoded) if encoded else np.empty((len(table), 0), floats())
        _refuse_overflow(x, self.features, table)
        identifiers = {
            column.name: column.identifiers(parsed[column.name])
            for column in self.columns
            if isinstance(column, CategoryColumn) and column.embed
        }
        for column in self.columns:
            if isinstance(column, TextColumn):
                identifiers |= column.batch_columns(parsed[column.name], report)
        return ({"x": x} if self.features else {}) | identifiers

    def check_names(self, table: Table, report: Report) -> None:
        """Refuse a table that lacks a column, and report those that training did not have, in whatever order."""
        names = [column.name for column in self.columns]
        table.require(names)
        known = {*names, *self.ignored, *report.ignored}
        report.ignored += [name for name in table.names if name not in known]


@dataclass(frozen=True)
class ArrayInputs:
    """An array `x` and further arrays with as many rows.

    `shape` is that of one row of x; without `scaling`, x keeps its integers as identifiers. `others` are the names of
    the further arrays, whose values are taken as they are.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    shape: tuple[int, ...]
    scaling: Scaling | None
    others: tuple[str, ...]
    kind: Literal["arrays"] = "arrays"

    def __post_init__(self) -> None:
        if self.scaling is not None and self.shape[-1:] != (len(self.scaling.scale),):
            raise ValueError("shape and scaling differ in length")

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of a flat x, in order."""
        return tuple(f"x{i + 1}" for i in range(self.shape[0])) if len(self.shape) == 1 else ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers with a known count: none, arrays do not tell it."""
        return {}

    def encode(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Return `x` (float32, or int32 for identifiers) and the further arrays.

        Raises:  DataError for a missing or an extra array; ShapeError for rows of another shape
        """
        self._check_names(arrays)
        x = arrays.inputs["x"]
        if x.shape[1:] != self.shape:
            raise ShapeError(f"x: expected rows of shape {self.shape}, got {x.shape[1:]}", where=arrays.where)
        if self.scaling is not None:
            x = self.scaling.to_floats(x)
            if not np.isfinite(x).all():
                cure = "choose `scale: standard`"
                raise DataError("x holds values too large for a 32-bit number", where=arrays.where, cure=cure)
        return {**arrays.inputs, "x": x}

    def _check_names(self, arrays: Arrays) -> None:
        names, found = ("x", *self.others), tuple(arrays.inputs)
        for name in names:
            if name not in found:
                raise DataError(f"missing array '{name}'; have: {', '.join(found)}", where=arrays.where)
        for name in found:
            if name not in names:
                raise DataError(f"extra array '{name}' that training did not have", where=arrays.where)


def fit_table(
    table: Table, kinds: Mapping[str, ColumnKind], ignored: tuple[str, ...], settings: DataSettings, scale: Scale
) -> TableInputs:
    """Return inputs fitted on the training rows of a table; `kinds` names the feature columns.

    Warns:  RetrogradWarning of columns that hold the same value in every row, unless numbers are taken as they are
    """
    parsed = parse_columns(table, kinds, settings.invalid, settings.missing)
    columns = tuple(
        fit_text_column(name, parsed[name], settings)
        if kind.kind == "text"
        else fit_column(name, kind, parsed[name], settings, scale)
        for name, kind in kinds.items()
    )
    if scale in ("standard", "robust", "minmax"):
        _warn_of_constants([name for name in kinds if parsed[name].n_unique() == 1], table.where)
    _refuse_collisions(columns)
    return TableInputs(columns, ignored, settings.missing_values, settings.invalid, settings.missing)


def fit_arrays(arrays: Arrays, settings: DataSettings) -> ArrayInputs:
    """Return inputs fitted on the training rows of arrays, taken as they are unless `scale` says otherwise."""
    x = arrays.inputs["x"]
    others = tuple(name for name in arrays.inputs if name != "x")
    if settings.keep_integers:
        return ArrayInputs(x.shape[1:], None, others)
    method, divisor = plain_scale(settings.scale or "none")
    return ArrayInputs(x.shape[1:], fit_scaling(x, method, divisor, settings.clip), others)


def parse_columns(
    table: Table, kinds: Mapping[str, ColumnKind], invalid: str, missing: str, report: Report | None = None
) -> dict[str, pl.Series]:
    """Return each column's parsed values; cells of another kind are errors or (counted in the report) missing, as
    `invalid` says.
    """
    parsed = {name: kind.parse(table.column(name)) for name, kind in kinds.items()}
    faulty = [name for name, column in parsed.items() if column.bad.any()] if invalid == "error" else []
    if report is not None and invalid == "missing":
        report.unreadable += Counter({name: int(column.bad.sum()) for name, column in parsed.items()})
    faults = CellFaults(table)
    for name in faulty:
        faults.add(name, parsed[name].bad.arg_true(), kinds[name].expected)
    faults.raise_any(BAD_CELL_CURE.format(columns=", ".join(f"{name}: category" for name in faulty[:3])))
    values = {name: column.values for name, column in parsed.items()}
    if missing == "error":
        for name, series in values.items():
            faults.add(name, series.is_null().arg_true(), "a value")
        faults.raise_any(NO_GAPS_CURE)
    return values


def _warn_of_constants(names: list[str], where: str) -> None:
    if names:
        what = "constant in the training part, so of no use to the network"
        message = f"{where}: {what}: {some_of(names)}; see `exclude:`"
        warnings.warn(message, RetrogradWarning, stacklevel=2)


def _count(column: Column | TextColumn, values: pl.Series, report: Report) -> None:
    if values.null_count():
        report.missing[column.name] += values.null_count()
    if isinstance(column, CategoryColumn):
        unseen = values.filter(values.is_not_null() & ~values.is_in(list(column.words)))
        if len(unseen):
            report.unseen[column.name] += len(unseen)
            report.examples.setdefault(column.name, unseen[0])


def _refuse_overflow(x: np.ndarray, features: tuple[str, ...], table: Table) -> None:
    finite = np.isfinite(x)
    if not finite.all():
        row, column = (int(index[0]) for index in np.nonzero(~finite))
        where, words = table.place(row)
        cure = "choose `scale: standard`, or divide the column by a power of ten"
        raise DataError(f"{words}, column '{features[column]}': too large for a 32-bit number", where=where, cure=cure)


def _refuse_collisions(columns: tuple[Column | TextColumn, ...]) -> None:
    """Refuse batch columns that would have the same name."""
    taken = {"x", "y", "sample_weight"}
    for column in columns:
        own: tuple[str, ...] = ()
        if isinstance(column, CategoryColumn) and column.embed:
            own, cure = (column.name,), "rename the column, or choose `categories: one_hot`"
        elif isinstance(column, TextColumn):
            own, cure = (column.tokens, column.mask), f"rename the column, or set `kinds: {{{column.name}: category}}`"
        if taken & {*own}:
            raise DataError(f"the embedded column '{column.name}' has the name of another batch column", cure=cure)
        taken |= {*own}
