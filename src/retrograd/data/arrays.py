"""Arrays from the Python API or NumPy files, checked for equal row counts, with the target as a small table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import DataError, DataTypeError
from retrograd.data.cells.precision import floats
from retrograd.data.read.numpy_files import PLAIN_KINDS
from retrograd.data.table import Table, any_series, checked, from_any_frame

INT32 = np.iinfo(np.int32)


@dataclass(frozen=True)
class Arrays:
    """Input arrays by name (including `x`), with target columns and row weights.

    After a selection, `numbers` are the rows' original numbers in the data, from 1.
    """

    inputs: dict[str, np.ndarray]
    target: Table | None = None
    weight: np.ndarray | None = None
    where: str = "arrays"
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs["x"])

    def place(self, row: int) -> tuple[str, str]:
        """Return the place of a row: the name of the arrays, and the row in words."""
        return self.where, f"row {row + 1 if self.numbers is None else self.numbers[row]}"

    def take(self, rows: np.ndarray) -> Arrays:
        """Return the rows at these indices, in this order."""
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        target = None if self.target is None else self.target.take(rows)
        weight, numbers = (None if values is None else values[rows] for values in (self.weight, self.numbers))
        return Arrays(inputs, target, weight, self.where, numbers)

    def numbered(self) -> Arrays:
        """Return the rows with their numbers in the data, from 1, which survive a selection."""
        return replace(self, numbers=np.arange(1, len(self) + 1))

    @property
    def digest(self) -> str:
        """The SHA-256 of the arrays' names, types, shapes and values as hexadecimal text."""
        arrays = self.inputs | ({} if self.weight is None else {"sample_weight": self.weight})
        digest = hashlib.sha256()
        for name, array in arrays.items():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
        if self.target is not None:
            digest.update(self.target.digest.encode())
        return digest.hexdigest()


def as_arrays(x: Any, y: Any = None, *, keep_integers: bool = False, where: str = "arrays") -> Arrays:
    """Return Arrays for NumPy or JAX arrays or nested lists; `x` may be a mapping of arrays, one of them named `x`.

    In the other arrays, integers become int32 and fractions float32. An array `sample_weight` weights the rows.

    Raises:  DataError for unequal row counts, NaN or infinity; DataTypeError for values that are not numbers
    """
    by_name = dict(x) if isinstance(x, Mapping) else {"x": x}
    if "x" not in by_name:
        raise DataError(f"no array 'x'; have: {', '.join(by_name)}", where=where)
    arrays = {name: _numbers(name, array, where) for name, array in by_name.items()}
    target = None if y is None else target_table(y, where)
    rows = {name: len(array) for name, array in arrays.items()} | ({} if target is None else {"y": len(target)})
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in rows.items())
        raise DataError(f"the arrays differ in their number of rows: {counts}", where=where)
    weight = arrays.pop("sample_weight", None)
    inputs = {
        name: array if name == "x" and not keep_integers else _narrow(name, array, where)
        for name, array in arrays.items()
    }
    if inputs["x"].ndim == 1:
        inputs["x"] = inputs["x"][:, None]
    return Arrays(inputs, target, weight, where)


def target_table(y: Any, where: str) -> Table:
    """Return y [rows], [rows, 1] or [rows, targets] as a table with the column y, or y1, y2 and so on."""
    if isinstance(y, pl.Series) or hasattr(y, "iloc"):  # a series, or a frame of several targets
        return checked(Table(as_frame(y, where), where))
    array = _as_numpy("y", y, where)
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim not in (1, 2):
        raise DataError(f"y: expected the shape (rows,) or (rows, targets), found {array.shape}", where=where)
    columns = {"y": array} if array.ndim == 1 else {f"y{i + 1}": array[:, i] for i in range(array.shape[1])}
    return checked(Table(pl.DataFrame({name: _series(column, where) for name, column in columns.items()}), where))


def as_frame(y: Any, where: str) -> pl.DataFrame:
    """Return a target as a frame, from a list, an array, a series (which keeps its name) or several columns."""
    if hasattr(y, "columns") or isinstance(y, Mapping):
        return from_any_frame(y, where).frame
    if isinstance(y, pl.Series) or hasattr(y, "iloc"):
        series = any_series("y" if y.name in (None, "") else str(y.name), y, where)
        return (series.fill_nan(None) if series.dtype.is_float() else series).to_frame()
    return target_table(y, where).frame


def beside(frame: pl.DataFrame, added: pl.DataFrame, where: str) -> pl.DataFrame:
    """Return the columns of two frames as one frame.

    Raises:  DataError if the numbers of rows differ, or a name occurs in both
    """
    duplicates = [name for name in added.columns if name in frame.columns]
    if duplicates:
        cure = "rename one of them, or pass the target's name instead of its values"
        raise DataError(f"the target '{duplicates[0]}' has the same name as a column of x", where=where, cure=cure)
    if len(added) != len(frame):
        raise DataError(f"x has {len(frame)} rows, y has {len(added)}", where=where)
    return frame.hstack(added)


def _as_numpy(name: str, values: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError):
        raise DataTypeError(f"{name}: rows of different lengths cannot form an array", where=where) from None


def _numbers(name: str, values: Any, where: str) -> np.ndarray:
    array = _as_numpy(name, values, where)
    if array.dtype.kind not in "biuf":
        raise DataTypeError(f"{name}: expected an array of numbers, found {array.dtype}", where=where)
    if array.ndim == 0 or len(array) == 0:
        raise DataError(f"{name} has no rows", where=where)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        index = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(array)))
        count = int((~np.isfinite(array)).sum())
        cure = "fill them, or use a table, where missing values are filled"
        raise DataError(f"{name} contains {count} NaN or infinite values, the first at {index}", where=where, cure=cure)
    return array


def _narrow(name: str, array: np.ndarray, where: str) -> np.ndarray:
    """Return integers as int32 and fractions as float32, the types of network inputs."""
    if array.dtype.kind == "f":
        return array.astype(floats())
    if array.dtype.kind == "b":
        return array
    if array.size and (array.min() < INT32.min or array.max() > INT32.max):
        raise DataError(f"{name} contains integers that do not fit in 32 bits", where=where)
    return array.astype(np.int32)


def _series(column: np.ndarray, where: str) -> pl.Series:
    if column.dtype.kind not in PLAIN_KINDS + "O":
        raise DataTypeError(f"y contains values of type {column.dtype}", where=where, cure="use numbers or text")
    if column.dtype.kind == "S":
        column = column.astype(str)
    try:
        series = pl.Series(column.tolist() if column.dtype.kind in "OU" else column)
    except (TypeError, pl.exceptions.PolarsError):
        raise DataTypeError("y contains values of several types", where=where, cure="make them all text") from None
    return series.fill_nan(None) if series.dtype.is_float() else series
