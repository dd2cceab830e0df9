"""Fitted inputs, which turn a table's columns, or arrays, into the columns of a batch."""

from __future__ import annotations

import functools
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from pydantic import ConfigDict, Field

from retrograd.base.errors import DataError, RetrogradWarning, ShapeError
from retrograd.base.sentence import data_setting
from retrograd.data.arrays import Arrays, as_arrays
from retrograd.data.cells.kinds import ColumnKind
from retrograd.data.cells.precision import floats
from retrograd.data.cells.values import is_constant
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, Scale, plain_scale
from retrograd.data.table import Table, from_any_frame
from retrograd.data.tables.columns import Column, NumberColumn, fit_column
from retrograd.data.tables.scaling import Scaling, fit_scaling
from retrograd.data.tables.text_column import TextColumn, fit_text_column
from retrograd.data.tables.typed import typed
from retrograd.present.wording import some_of


@dataclass(frozen=True)
class TableInputs:
    """The columns of a table that the network gets.

    `ignored` are the unused columns of the training table, which may be present or not.
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
            raise ValueError("there must be columns, with distinct names")

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of `x`, in order."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers, and how many identifiers each has (0, unseen, included)."""
        return {name: size for column in self.columns for name, size in column.sizes.items()}

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Table:
        """Return a data frame, or an array (or x and y) with the training columns in order, as a table."""
        if isinstance(data, Table):
            return data
        names = tuple(column.name for column in self.columns)
        arrays = dict(data) if isinstance(data, Mapping) else {"x": data}
        if hasattr(data, "columns") or (isinstance(data, Mapping) and ("x" not in data or {*names} <= {*data})):
            return from_any_frame(data)
        if not hasattr(arrays["x"], "__len__"):
            return from_any_frame(data)
        columns = _named(np.asarray(arrays["x"]), names, "x")
        if targets and "y" in arrays:
            y = np.asarray(arrays["y"])
            columns |= _named(y.reshape(len(y), -1), targets, "y")
        return from_any_frame(pl.DataFrame(columns))

    def target_table(self, table: Table) -> Table:
        """Return the table with the target: the same table."""
        return table

    def encode_array(self, data: Any) -> np.ndarray | None:
        """Return `x` for an array of finite numbers [rows, columns], all columns at once, bit for bit as `encode`.

        None for anything else, or if some column is not just a scaled number.
        """
        scaling = self._scaling
        if scaling is None or type(data) is not np.ndarray or data.dtype.kind not in "fiu" or data.itemsize > 8:
            return None
        if data.ndim != 2 or data.shape[1] != len(self.columns) or not len(data):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            x = scaling.apply(data).astype(floats())
        return x if np.isfinite(x).all() else None

    @functools.cached_property
    def _scaling(self) -> Scaling | None:
        """The scalings of all columns as one, if all are numbers without missing values."""
        columns = [column for column in self.columns if isinstance(column, NumberColumn) and not column.flag]
        scalings = [column.scaling for column in columns if column.scaling.is_affine]
        if len(scalings) < len(self.columns) or len({scaling.clip for scaling in scalings}) != 1:
            return None
        offset, scale = zip(*((*scaling.offset, *scaling.scale) for scaling in scalings), strict=True)
        return Scaling(offset, scale, scalings[0].clip)

    def encode(self, table: Table, report: Report, with_target: bool = False) -> dict[str, np.ndarray]:
        """Return `x`, float32 [rows, features], the identifiers of each embedded column, int32 [rows], and of each
        text column the tokens, int32 [rows, length], and their mask.

        Raises:  DataError for a missing or an unknown column, and for cells that are not of their column's kind
        """
        self.check_names(table, report)
        table = typed(table, {column.name: column.column_kind for column in self.columns}, self.invalid, self.missing)
        report.unreadable += Counter({name: int(cells.sum()) for name, cells in table.unreadable.items()})
        values = {column.name: table.values[column.name] for column in self.columns}
        for column in self.columns:
            column.count(values[column.name], report)
        encoded = [column.encode(values[column.name]) for column in self.columns]
        x = np.hstack(encoded) if encoded else np.empty((len(table), 0), floats())
        _reject_overflow(x, self.features, table)
        batch = {"x": x} if self.features else {}
        for column in self.columns:
            batch |= column.batch_columns(values[column.name], report)
        return batch

    def check_names(self, table: Table, report: Report) -> None:
        """Reject a table that lacks a column, and report columns that training did not have, in any order."""
        names = [column.name for column in self.columns]
        table.require(names)
        known = {*names, *self.ignored, *report.ignored}
        report.ignored += [name for name in table.names if name not in known]


@dataclass(frozen=True)
class ArrayInputs:
    """An array `x` and further arrays with as many rows.

    `shape` is the shape of one row of x; without `scaling`, the integers in x are identifiers. `others` are the names
    of the further arrays, which are not scaled.
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
        """Batch columns of identifiers with a known count: none, as arrays do not tell it."""
        return {}

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Arrays:
        """Return arrays (x, or a mapping with x) with their target, if y is among them."""
        if isinstance(data, Arrays):
            return data
        if isinstance(data, Table) or hasattr(data, "columns"):
            raise DataError("the model was trained on arrays, not on a table", cure="pass the array x")
        arrays = dict(data) if isinstance(data, Mapping) else {"x": data}
        y = arrays.pop("y", None)
        return as_arrays(arrays, y, keep_integers=self.scaling is None)

    def target_table(self, arrays: Arrays) -> Table:
        """Return the table with the target."""
        if arrays.target is None:
            raise DataError("no array 'y'", where=arrays.where, cure="pass the targets as well")
        return arrays.target

    def encode(self, arrays: Arrays, report: Report, with_target: bool = False) -> dict[str, np.ndarray]:
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
                cure = "choose " + data_setting("scale", "standard")
                raise DataError("x contains values too large for a 32-bit number", where=arrays.where, cure=cure)
        return {**arrays.inputs, "x": x}

    def _check_names(self, arrays: Arrays) -> None:
        names, present = ("x", *self.others), tuple(arrays.inputs)
        for name in names:
            if name not in present:
                raise DataError(f"missing array '{name}'; have: {', '.join(present)}", where=arrays.where)
        for name in present:
            if name not in names:
                raise DataError(f"extra array '{name}' that training did not have", where=arrays.where)


def fit_table(
    table: Table, kinds: Mapping[str, ColumnKind], ignored: tuple[str, ...], settings: DataSettings, scale: Scale
) -> TableInputs:
    """Return inputs fitted on the training rows of a table; `kinds` names the feature columns.

    Warns:  RetrogradWarning about columns with the same value in every row, unless numbers are left unscaled
    """
    values = typed(table, kinds, settings.invalid, settings.missing).values
    columns = tuple(
        fit_text_column(name, values[name], settings)
        if kind.kind == "text"
        else fit_column(name, kind, values[name], settings, scale)
        for name, kind in kinds.items()
    )
    if scale in ("standard", "robust", "log", "minmax"):
        _warn_about_constants([name for name in kinds if is_constant(values[name])], table.where)
    _reject_collisions(columns)
    return TableInputs(columns, ignored, settings.missing_values, settings.invalid, settings.missing)


def fit_arrays(arrays: Arrays, settings: DataSettings) -> ArrayInputs:
    """Return inputs fitted on the training rows of arrays, which are scaled only if `scale` is set."""
    x = arrays.inputs["x"]
    others = tuple(name for name in arrays.inputs if name != "x")
    if settings.keep_integers:
        return ArrayInputs(x.shape[1:], None, others)
    method, divisor = plain_scale(settings.scale or "none")
    return ArrayInputs(x.shape[1:], fit_scaling(x, method, divisor, settings.clip), others)


def _warn_about_constants(names: list[str], where: str) -> None:
    if names:
        what = "constant in the training part, so useless to the network"
        message = f"{where}: {what}: {some_of(names)}; see " + data_setting("exclude")
        warnings.warn(message, RetrogradWarning, stacklevel=2)


def _reject_overflow(x: np.ndarray, features: tuple[str, ...], table: Table) -> None:
    finite = np.isfinite(x)
    if not finite.all():
        row, column = (int(index[0]) for index in np.nonzero(~finite))
        where, words = table.place(row)
        cure = "choose " + data_setting("scale", "standard") + ", or divide the column by a power of ten"
        raise DataError(f"{words}, column '{features[column]}': too large for a 32-bit number", where=where, cure=cure)


def _reject_collisions(columns: tuple[Column | TextColumn, ...]) -> None:
    """Reject batch columns that would have the same name."""
    taken = {"x", "y", "sample_weight"}
    for column in columns:
        if taken & {*column.beside}:
            message = f"the embedded column '{column.name}' has the same name as another batch column"
            raise DataError(message, cure="rename the column, or " + column.merging)
        taken |= {*column.beside}


def _named(values: np.ndarray, names: tuple[str, ...], what: str) -> dict[str, np.ndarray]:
    if values.ndim != 2 or values.shape[1] != len(names):
        expected = f"expected {what} of shape (rows, {len(names)}), one column each for {some_of(names)}"
        raise DataError(f"{expected}; got {values.shape}")
    return dict(zip(names, values.T, strict=True))
