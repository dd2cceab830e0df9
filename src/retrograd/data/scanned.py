"""Tables larger than memory, whose cells stay in files and are read one column at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.column_files import PLAIN, Numbers
from retrograd.data.decimal_points import ORDINARY, Points, points_of
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.table import Origin, Table, plain_cells

LINE = "\0line"  # the column of line numbers; no column in a file has this name
SLICE_ROWS = 1 << 22  # read at a time into a column of numbers; each slice is a query over all files
DAMAGE = (pl.exceptions.PolarsError, pl.exceptions.PanicException)  # what polars raises for damaged files


@dataclass(frozen=True)
class ScannedTable(Table):
    """A table with its cells in files. Its `frame` has names and types but no rows.

    Each of `scans` holds one column with `height` rows; `chosen` are the rows that the table has, in ascending order;
    derived columns are written to `folder`. In its origin, `file_of` holds the number of each file's first row.
    `sliced`: reading some rows of a scan takes no longer than their share of all rows.
    """

    scans: Mapping[str, pl.LazyFrame | Numbers] = field(default_factory=dict)
    height: int = 0
    folder: Path = Path()
    chosen: np.ndarray | None = None
    sliced: bool = False

    def __len__(self) -> int:
        return self.height if self.chosen is None else len(self.chosen)

    def __getitem__(self, name: str) -> pl.Series:
        return self.column(name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names, like those of a frame."""
        return self.names

    def place(self, row: int) -> tuple[str, str]:
        """Return the place of a row, as `file:line` and in words."""
        number = row if self.chosen is None else int(self.chosen[row])
        file = self.where
        if self.origin is not None:
            file = self.origin.files[int(np.searchsorted(self.origin.file_of, number, side="right")) - 1]
        if LINE not in self.scans:
            return file, f"row {number + 1 if self.numbers is None else self.numbers[row]}"
        line = self._collected(LINE, number, 1).item()
        return f"{file}:{line}", f"line {line}"

    def column(self, name: str) -> pl.Series:
        """Return one column, read from its files.

        Raises:  DataError for an unknown name, listing the known ones
        """
        super().column(name)
        values = self._numbers(name)
        if values is not None:  # the rows are chosen by NumPy, whose large arrays return to the system at once
            return pl.Series(name, values if self.chosen is None else values[self.chosen])
        cells = self._collected(name, 0, self.height)
        cells = cells if cells.dtype == pl.String else cells.rechunk()  # text would take as much memory again
        return cells if self.chosen is None else cells[self.chosen]

    def some_cells(self, name: str, start: int, stop: int) -> pl.Series:
        """Return the cells of one column in rows `start` to `stop`; no other cells are read."""
        return self.rows([name], start, stop)[name]

    def rows(self, names: Iterable[str], start: int, stop: int) -> pl.DataFrame:
        """Return columns of the rows from `start` to `stop`."""
        chosen = np.arange(start, stop) if self.chosen is None else self.chosen[start:stop]
        if not len(chosen):
            return self.frame.select(names)
        first, last = int(chosen[0]), int(chosen[-1])
        columns = (self._collected(name, first, last + 1 - first) for name in names)
        if len(chosen) == last + 1 - first:
            return pl.DataFrame(list(columns))
        return pl.DataFrame([cells[chosen - first] for cells in columns])  # before the next one is read

    def _numbers(self, name: str) -> np.ndarray | None:
        """Return a column of numbers without gaps; None for any other, or one that is not read in slices."""
        scan = self.scans[name]
        if isinstance(scan, Numbers):
            return scan.read(0, scan.count)
        if not self.sliced or self.frame.schema.get(name) not in PLAIN:
            return None
        values: np.ndarray | None = None
        for start in range(0, self.height, SLICE_ROWS):  # polars would take the memory twice
            cells = self._collected(name, start, min(SLICE_ROWS, self.height - start))
            if cells.null_count() or cells.dtype not in PLAIN:
                return None
            part = cells.to_numpy()
            values = np.empty(self.height, part.dtype) if values is None else values
            values[start : start + len(part)] = part
        return values

    def _collected(self, name: str, first: int, count: int) -> pl.Series:
        """Return cells of one column from the files; all reading goes through this function and `_queried`."""
        scan = self.scans[name]
        if isinstance(scan, Numbers):
            return pl.Series(name, scan.read(first, count))
        return self._queried(name, scan if count == self.height else scan.slice(first, count))

    def _queried(self, name: str, query: pl.LazyFrame, **options: Any) -> pl.Series:
        """Return the only column that a query about a column results in.

        Raises:  DataError naming the damaged file
        """
        try:
            frame: pl.DataFrame = query.collect(**options)
        except DAMAGE as error:
            reason = str(error).partition("\n")[0]
            where = self._damaged_file(self.scans[name].lazy())
            raise DataError(f"column '{name}' cannot be read: {reason}", where=where) from None
        return frame.to_series().alias(name)

    def _damaged_file(self, scan: pl.LazyFrame) -> str:
        """Return the file with the unreadable cells."""
        files, starts = ((), np.empty(0, int)) if self.origin is None else self.origin
        for file, start, stop in zip(files, starts, [*starts, self.height][1:], strict=False):
            try:
                scan.slice(int(start), int(stop - start)).collect()
            except DAMAGE:
                return file
        return self.where

    def take(self, rows: np.ndarray) -> ScannedTable:
        """Return the rows at these indices, which must ascend."""
        return replace(self, chosen=rows if self.chosen is None else self.chosen[rows])

    def numbered(self) -> ScannedTable:
        """Return the table itself: its rows have numbers already."""
        return self

    def each(self, names: Sequence[str], ask: Callable[[pl.Expr], pl.Expr]) -> tuple[Any, ...]:
        """Return the result of an expression for each of the columns."""
        if self.chosen is not None:
            return tuple(self.column(name).to_frame().select(ask(pl.col(name))).item() for name in names)
        queries = {name: self.scans[name].lazy().select(ask(pl.all())) for name in names}
        return tuple(self._queried(name, query, engine="streaming").item() for name, query in queries.items())

    def columns_of(self, series: Iterable[pl.Series]) -> ScannedTable:
        """Return a table of other columns for the same rows, writing each to a file before computing the next."""
        return replace(self, frame=pl.DataFrame(), scans={}, chosen=None, height=len(self)).with_columns(series)

    def with_columns(self, series: Iterable[pl.Series]) -> ScannedTable:
        """Return the table with added or replaced columns."""
        assert self.chosen is None  # other rows would have no cells
        frame, scans = self.frame, dict(self.scans)
        self.folder.mkdir(parents=True, exist_ok=True)
        for cells in series:
            path = self.folder / f"{sum(1 for _ in self.folder.iterdir())}.column"
            scan: pl.LazyFrame | Numbers | None = Numbers.written(cells, path)
            if scan is None:
                cells.rename("cells").to_frame().write_ipc(path)
                scan = pl.scan_ipc(path)
            frame = frame.with_columns(pl.Series(cells.name, [], dtype=cells.dtype))
            scans[cells.name] = scan
        return replace(self, frame=frame, scans=scans)

    def select(self, names: Iterable[str]) -> ScannedTable:
        """Return the table with only these columns."""
        frame = self.frame.select(names)
        return replace(self, frame=frame, scans={n: s for n, s in self.scans.items() if n in (*frame.columns, LINE)})

    def with_missing(self, words: Sequence[str]) -> ScannedTable:
        """Return the table with stripped text, and nulls in place of NaN and the `words` for missing values."""
        if self.missing_words == tuple(words):
            return self
        scans = {
            name: scan if isinstance(scan, Numbers) else scan.with_columns(plain_cells(words))
            for name, scan in self.scans.items()
        }
        return replace(self, scans=scans, missing_words=tuple(words))


def joined_scans(tables: Sequence[ScannedTable], where: str, files: tuple[str, ...]) -> ScannedTable:
    """Return the concatenated rows of several tables with the same columns."""
    first = tables[0]
    try:
        frame = pl.concat([table.frame.select(first.names) for table in tables], how="vertical_relaxed")
        kinds = dict(frame.schema)
    except pl.exceptions.PolarsError:
        kinds = dict.fromkeys(first.names, pl.String())
    names = [*first.names, *([LINE] if all(LINE in table.scans for table in tables) else [])]
    scans = {}
    for name in names:
        parts = [table.scans[name].lazy().select(pl.all().name.map(lambda _: "cells")) for table in tables]
        kind = kinds.get(name)
        scans[name] = pl.concat(parts if kind is None else [part.cast(kind) for part in parts])
    starts = np.concatenate([[0], np.cumsum([table.height for table in tables])[:-1]])
    return replace(
        first,
        frame=pl.DataFrame(schema=kinds),
        where=where,
        scans=scans,
        height=sum(table.height for table in tables),
        origin=Origin(files, starts),
    )


class MixedColumns(Exception):
    """Raised for columns that must be read again as text: their first rows are numbers, later ones are not."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(*sorted(names))
        self.names = frozenset(names)


class Spill:
    """Writes rows that stay in files to a folder, chunk by chunk.

    Text is converted as by `with_missing`, and ordinary numbers become numbers, except in targets, in other columns
    whose text matters, and in the columns `text`. Each part of the data starts with `begin_part`.
    """

    def __init__(self, folder: Path, settings: DataSettings, digest: str, text: Iterable[str] = ()) -> None:
        self.folder, self.settings, self.text = folder, settings, frozenset(text)
        self.digest = digest  # of the data
        self.mixed: set[str] = set()  # columns that seemed to be numbers but contain text
        self._is_number: dict[str, bool] = {}
        self._points: dict[str, Points] = {}
        self._count = 0
        folder.mkdir(parents=True, exist_ok=True)

    def begin_part(self) -> None:
        """Begin a part of the data, whose numbers must be unambiguous by themselves."""
        self.mixed |= {name for name, points in self._points.items() if self._is_number[name] and not points.are_clear}
        self._points = {}
        self.check()

    def check(self) -> None:
        """Raise MixedColumns if columns that were written as numbers contain something else."""
        if self.mixed:
            raise MixedColumns(self.mixed)

    def add(self, frame: pl.DataFrame, lines: np.ndarray, as_text: Iterable[str]) -> Path:
        """Write rows of text to a file and return its path; the columns `as_text` stay text."""
        frame = frame.with_columns(plain_cells(self.settings.missing_values))
        names = [n for n in frame.columns if n not in {*self.text, *as_text} and self._is_number.get(n, True)]
        fitting = frame.select(pl.col(names).str.contains(ORDINARY).all()).row(0, named=True) if names else {}
        ordinary = []
        for name in names:
            before = self._points.get(name, Points(False, False))
            points = points_of(frame[name]) if fitting[name] and not before.shown else before
            points = Points(before.any or points.any, before.shown or points.shown)
            fits = fitting[name] and (name in self._is_number or points.are_clear)
            if fits:
                ordinary.append(name)
                self._points[name] = points
            elif self._is_number.get(name):
                self.mixed.add(name)
            self._is_number[name] = fits
        path = self.folder / f"{self._count}.arrow"
        self._count += 1
        frame.with_columns(pl.col(ordinary).cast(pl.Float64), pl.Series(LINE, lines.astype(np.int64))).write_ipc(path)
        return path

    def table(self, paths: Sequence[Path], where: str, height: int) -> ScannedTable:
        """Return a table of the rows in these files."""
        self.check()
        schema = pl.read_ipc_schema(paths[0])
        together = pl.scan_ipc(list(paths))
        frame = pl.DataFrame(schema={name: kind for name, kind in schema.items() if name != LINE})
        return ScannedTable(
            frame,
            where,
            missing_words=tuple(self.settings.missing_values),
            scans={name: together.select(name) for name in schema},
            height=height,
            folder=self.folder / "derived",
            sliced=True,
        )


def columns_of_text(names: Sequence[str], settings: DataSettings) -> set[str]:
    """Return the columns that stay text even if they contain ordinary numbers, such as targets."""
    named = tuple(name for name in names if not name.startswith("unnamed_"))  # an unnamed last column may be dropped
    others = {name for name in (settings.split.column, settings.weight) if name is not None}
    return {*find_targets(tuple(names), settings), *find_targets(named or ("",), settings), *settings.kinds, *others}


_SPILL: ContextVar[Spill | None] = ContextVar("spill", default=None)


def spill() -> Spill | None:
    """Return the destination of the rows being read; None if they are kept in memory."""
    return _SPILL.get()


@contextmanager
def spilling(destination: Spill) -> Iterator[None]:
    """Keep tables that are read inside the block in files."""
    token = _SPILL.set(destination)
    try:
        yield
    finally:
        _SPILL.reset(token)
