"""A table in memory: a polars frame with the origin of each row."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, NamedTuple, Self

import numpy as np
import polars as pl

from retrograd.base.annotations import show
from retrograd.base.errors import DataError, Problem, did_you_mean, nearest
from retrograd.base.sentence import data_setting
from retrograd.present.text import cut
from retrograd.present.wording import listing, some_of

WORDS = (pl.String, pl.Categorical, pl.Enum)
SHOWN = 5  # faulty cells or lines listed in an error; the others are counted


class TextForm(NamedTuple):
    """The form of a text file, from the settings or recognised."""

    encoding: str
    separator: str
    decimal: str

    def unusual(self) -> dict[str, str]:
        """Return the settings that differ from the plain form: UTF-8, commas between cells, decimal points."""
        plain = {"encoding": ("utf-8", "utf-8-sig"), "separator": (",",), "decimal": (".",)}
        return {name: value for name, value in self._asdict().items() if value not in plain[name]}


class Origin(NamedTuple):
    """The files of a table, and for each row the number of its file."""

    files: tuple[str, ...]
    file_of: np.ndarray


@dataclass(frozen=True)
class Table:
    """Rows and named columns. `where` is the file or other source; `lines[i]` is the line of row i in that file.

    Without lines, `numbers[i]` is the number of row i in the data, from 1. `notes` say what the reader inferred.
    """

    frame: pl.DataFrame
    where: str = "table"
    lines: np.ndarray | None = None
    missing_words: tuple[str, ...] | None = None  # words that have been replaced by nulls already
    form: TextForm | None = None  # of a text file
    notes: tuple[str, ...] = ()
    origin: Origin | None = None  # of a table in several files
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        return self.frame.height

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(self.frame.columns)

    @functools.cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    def place(self, row: int) -> tuple[str, str]:
        """Return the place of a row, as `file:line` and in words."""
        file = self.where if self.origin is None else self.origin.files[self.origin.file_of[row]]
        if self.lines is None:
            return file, f"row {row + 1 if self.numbers is None else self.numbers[row]}"
        return f"{file}:{self.lines[row]}", f"line {self.lines[row]}"

    def take(self, rows: np.ndarray) -> Table:
        """Return the rows at these indices, in this order."""
        lines = None if self.lines is None else self.lines[rows]
        origin = None if self.origin is None else self.origin._replace(file_of=self.origin.file_of[rows])
        numbers = None if self.numbers is None else self.numbers[rows]
        return replace(self, frame=self.frame[rows], lines=lines, origin=origin, numbers=numbers)

    def numbered(self) -> Table:
        """Return the table with row numbers in the data, from 1, which survive a selection."""
        return self if self.lines is not None else replace(self, numbers=np.arange(1, len(self) + 1))

    @property
    def digest(self) -> str:
        """The SHA-256 of names, types and cells as hexadecimal text."""
        digest = hashlib.sha256()
        for series in self.frame.iter_columns():
            cells = series.cast(pl.String).fill_null("\0")
            digest.update(f"{series.name}\0{series.dtype}\0{len(cells)}\0".encode())
            for start in range(0, len(cells), 100_000):
                digest.update("\n".join(cells[start : start + 100_000]).encode())
        return digest.hexdigest()

    def column(self, name: str) -> pl.Series:
        """Return one column.

        Raises:  DataError for an unknown name, listing the known ones
        """
        if name not in self._known:
            cure = did_you_mean(name, self.names) if nearest(name, self.names) else f"have: {some_of(self.names, 30)}"
            raise DataError(f"no column '{name}'", where=self.where, cure=cure)
        return self.frame.get_column(name)

    def some_cells(self, name: str, start: int, stop: int) -> pl.Series:
        """Return the cells of one column in rows `start` to `stop`."""
        return self.column(name)[start:stop]

    def require(self, names: Iterable[str]) -> None:
        """Raise DataError naming the columns that are missing."""
        missing = [name for name in names if name not in self._known]
        if missing:
            have = some_of(self.names, 30)
            raise DataError(f"missing {listing('column', missing)}; have: {have}", where=self.where)

    def with_missing(self, words: Sequence[str]) -> Table:
        """Return the table with stripped text, and nulls in place of NaN and the `words` for missing values."""
        if self.missing_words == tuple(words):
            return self
        return replace(self, frame=self.frame.with_columns(plain_cells(words)), missing_words=tuple(words))

    def each(self, names: Sequence[str], ask: Callable[[pl.Expr], pl.Expr]) -> tuple[Any, ...]:
        """Return the result of an expression for each of the columns."""
        return self.frame.select(ask(pl.col(names))).row(0) if names else ()

    def columns_of(self, series: Iterable[pl.Series]) -> pl.DataFrame | Any:
        """Return other columns for the same rows: a frame, or for a table in files another such table."""
        return pl.DataFrame(list(series))

    def with_columns(self, series: Iterable[pl.Series]) -> Self:
        """Return the table with added or replaced columns."""
        return replace(self, frame=self.frame.with_columns(series))

    def select(self, names: Iterable[str]) -> Self:
        """Return the table with only these columns."""
        return replace(self, frame=self.frame.select(names))


class Cells(Mapping[str, pl.Series]):
    """The columns of a table by name, each read on demand."""

    def __init__(self, names: Iterable[str], column: Callable[[str], pl.Series]) -> None:
        self._names, self._column = dict.fromkeys(names), column

    def __getitem__(self, name: str) -> pl.Series:
        if name not in self._names:
            raise KeyError(name)
        return self._column(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def plain_cells(words: Sequence[str]) -> list[pl.Expr]:
    """Return expressions that strip text, and replace NaN and the `words` for missing values by nulls."""
    stripped = pl.col(pl.String).str.strip_chars()
    missing = pl.lit(pl.Series([list(words)], dtype=pl.List(pl.String))).first()
    nulled = pl.when(stripped.is_in(missing)).then(None).otherwise(stripped)
    return [nulled.name.keep(), pl.col(pl.Float32, pl.Float64).fill_nan(None)]


class CellFaults:
    """Collects cells that do not fit their column: the first ones of each column, and the total count."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._cells: list[tuple[int, str]] = []  # row, and the problem there
        self._count = 0

    def add(self, column: str, rows: pl.Series, expected: str) -> None:
        """Add the faulty rows (indices) of a column."""
        self._count += len(rows)
        if not len(rows):
            return
        cells = self._table.column(column)
        for row in rows.head(SHOWN):
            cell = _shown(cells[row])
            self._cells.append((row, f"column '{column}': expected {expected}, found {cell}"))

    def raise_any(self, cure: str) -> None:
        """Raise DataError with the first cells by line and column, if any."""
        if not self._cells:
            return
        problems = []
        for row, message in sorted(self._cells)[:SHOWN]:
            where, words = self._table.place(row)
            problems.append(Problem(where, f"{words}, {message}"))
        raise DataError(listed(problems, self._count, "such cells", cure, self._table.where))


def listed(problems: Sequence[Problem], total: int, things: str, cure: str, where: str) -> list[Problem]:
    """Return the first problems and the count of the rest; the cure appears once, with the last."""
    if total > len(problems):
        return [*problems, Problem(where, f"and {total - len(problems)} more {things}", cure)]
    return [*problems[:-1], problems[-1]._replace(cure=cure)]


def checked(table: Table) -> Table:
    """Return the table if it has rows, and columns that can become numbers; lists of words become JSON text.

    Raises:  DataError for other tables
    """
    if not len(table) or not table.names:
        raise DataError("no data rows", where=table.where)
    lists = [name for name, kind in table.frame.schema.items() if isinstance(kind, pl.List) and kind.inner in WORDS]
    if lists:
        table = table.with_columns(_json(table.column(name)) for name in lists)
    for name, kind in table.frame.schema.items():
        if kind.is_nested() or kind in (pl.Object, pl.Binary, pl.Time, pl.Duration):
            cure = "ignore it with " + data_setting("exclude", f"[{name}]") + ", or convert it to numbers or text"
            raise DataError(f"column '{name}' contains {kind} values", where=table.where, cure=cure)
    return table


def _json(lists: pl.Series) -> pl.Series:
    cells = [None if cell is None else json.dumps(cell.to_list(), ensure_ascii=False) for cell in lists]
    return pl.Series(lists.name, cells, dtype=pl.String)


def from_any_frame(frame: Any, where: str = "data frame") -> Table:
    """Return a polars, pandas or Arrow data frame, or a mapping from names to columns, as a Table."""
    if isinstance(frame, Mapping):
        return checked(Table(_frame_of_columns(frame, where), where))
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return checked(Table(frame, where))
    if not hasattr(frame, "iloc") and hasattr(frame, "__arrow_c_stream__"):
        return checked(Table(pl.DataFrame(frame), where))
    if not hasattr(frame, "iloc"):
        raise DataError(f"expected a data frame, found {type(frame).__name__}", where=where)
    names = [str(name) for name in frame.columns]
    refuse_duplicates(names, where)
    series = {name: _foreign_series(frame.iloc[:, i], name, where) for i, name in enumerate(names)}
    return checked(Table(pl.DataFrame(series), where))


def _frame_of_columns(columns: Mapping[Any, Any], where: str) -> pl.DataFrame:
    """Return columns (lists, arrays, series) of equal length as a frame."""
    series = {str(name): any_series(str(name), cells, where) for name, cells in columns.items()}
    lengths = {name: len(cells) for name, cells in series.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise DataError(f"the columns differ in their number of rows: {counts}", where=where)
    return pl.DataFrame(series)


def any_series(name: str, cells: Any, where: str) -> pl.Series:
    """Return a column from a list, a NumPy or JAX array, or a polars or pandas series (its index is ignored)."""
    if isinstance(cells, pl.Series):
        return cells.alias(name)
    if hasattr(cells, "iloc"):
        return _foreign_series(cells, name, where)
    try:
        array = np.asarray(cells)
    except ValueError:
        array = np.empty((0, 0))  # rows of different lengths
    if array.ndim != 1:
        raise DataError(f"column '{name}': expected one value per row, found {show(cells)}", where=where)
    try:
        return pl.Series(name, list(cells) if isinstance(cells, (list, tuple)) else array)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        raise DataError(
            f"column '{name}' contains values of several types", where=where, cure="convert them all to text"
        ) from None


def refuse_duplicates(names: Iterable[str], where: str) -> None:
    """Raise DataError if a column name occurs twice."""
    known: set[str] = set()
    for name in names:
        if name in known:
            raise DataError(f"duplicate column '{name}'", where=where, cure="give each column its own name")
        known.add(name)


def _foreign_series(values: Any, name: str, where: str) -> pl.Series:
    """Return a pandas column of any type as a polars one, converted through NumPy."""
    is_numpy = isinstance(
        getattr(values, "dtype", None), np.dtype | NoneType
    )  # missing values in pandas' own types would turn whole numbers into floats
    array = values.to_numpy() if is_numpy else values.to_numpy(dtype=object)
    try:
        if array.dtype == object:
            cells = [None if _is_nothing(cell) else cell for cell in array.tolist()]
            return pl.Series(name, cells, strict=True)
        return pl.Series(name, array)
    except (TypeError, ValueError, pl.exceptions.PolarsError):
        raise DataError(
            f"column '{name}' contains values of several types", where=where, cure="convert them all to text"
        ) from None


def _is_nothing(cell: Any) -> bool:
    """Return whether a pandas cell is missing: None, NaN, NaT, or NA, which cannot be compared."""
    return cell is None or type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and cell != cell)


def _shown(value: Any) -> str:
    return "nothing" if value is None else cut(repr(value), 40)
