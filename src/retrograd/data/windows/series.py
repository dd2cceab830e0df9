"""Several series in one table: which row belongs to which, and which column separates them if no setting does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import polars as pl

from retrograd.data.cells.values import words
from retrograd.data.table import CellFaults, Table

BETWEEN = " | "  # separates the parts of a series' name that comes from several columns
MOST_COLUMNS = 8  # that could separate series and are tried in pairs
ITEM_NAME = re.compile(
    r"(?i)(^|[_ .-])(item|series|store|shop|sensor|device|unit|machine|product|sku|station|site|customer|patient"
    r"|subject|symbol|ticker|country|region|city|id)([_ .-]|$)"
)


@dataclass(frozen=True)
class Blocks:
    """The series of a table: each row's series number, the names, and the blocks of consecutive rows."""

    numbers: np.ndarray
    names: tuple[str, ...]

    @property
    def bounds(self) -> Iterator[tuple[int, int, int]]:
        """Yield the series number, first row and end row (exclusive) of each block, in order."""
        if len(self.numbers):
            cuts = [0, *(np.flatnonzero(np.diff(self.numbers)) + 1).tolist(), len(self.numbers)]
            yield from ((int(self.numbers[lo]), lo, hi) for lo, hi in pairwise(cuts))


def blocks_of(table: Table, keys: Sequence[str]) -> Blocks:
    """Return the series of each row, numbered in order of appearance; without keys, all rows are one series.

    Raises:  DataError for a row that lacks a key
    """
    if not keys:
        return Blocks(np.zeros(len(table), np.int64), ("",))
    columns = [words(table.column(name)).values for name in keys]
    faults = CellFaults(table)
    for column in columns:
        faults.add(column.name, column.is_null().arg_true(), "the name of a series")
    faults.raise_any("complete these rows, or remove them")
    joined = pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator=BETWEEN)).to_series().to_numpy()
    names, first, inverse = np.unique(joined.astype(str), return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return Blocks(rank[inverse.reshape(-1)], tuple(names[np.argsort(first)].tolist()))


def observed(table: Table, keys: Sequence[str], targets: Sequence[str]) -> np.ndarray:
    """Return, for each row, the end of the rows with a target in its series; rows after it are the future."""
    there = np.ones(len(table), bool)
    names = [name for name in targets if name in table.names]
    if names:
        there = np.any([table.frame[name].is_not_null().to_numpy() for name in names], axis=0)
    ends = np.zeros(len(table), int)
    for _, lo, hi in blocks_of(table, keys).bounds:
        seen = np.flatnonzero(there[lo:hi])
        ends[lo:hi] = lo + (seen[-1] + 1 if len(seen) else 0)
    return ends


def separating_keys(
    table: Table, moments: np.ndarray, others: Iterable[str], least: int, known: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the column, or the two columns, within whose values no time repeats, or nothing.

    `others` are columns to ignore; a series must have at least `least` rows on average. The columns found are added
    after the `known` keys.
    """
    names = [name for name in table.names if name not in {*others, *known} and _could_name(table.column(name), least)]
    names.sort(key=lambda name: table.column(name).dtype != pl.String)
    singles: list[tuple[str, ...]] = [(name,) for name in names]
    chosen = [(*known, *keys) for keys in (*singles, *combinations(names[:MOST_COLUMNS], 2))]
    for keys in chosen:
        if any(table.column(name).null_count() for name in keys):
            continue
        rows = pl.DataFrame([*map(table.column, keys), pl.Series("\0moment", moments)])
        series = rows.select(keys).n_unique()
        if 1 < series <= len(table) / least and rows.n_unique() == len(table):
            return keys
    return ()


def keys_in_blocks(table: Table, others: Iterable[str], least: int) -> tuple[str, ...]:
    """Return the column with the name of an item, or whose texts each fill one block of rows."""
    for name in table.names:
        column = table.column(name)
        if name in set(others) or column.null_count() or not _could_name(column, least):
            continue
        blocks = blocks_of(table, (name,))
        if ITEM_NAME.search(name) and np.median(np.bincount(blocks.numbers)) >= least:
            return (name,)
        if column.dtype != pl.String:
            continue  # years and months fill blocks too
        sizes = [hi - lo for _, lo, hi in blocks.bounds]
        if len(sizes) == len(blocks.names) > 1 and np.median(sizes) >= least:
            return (name,)
    return ()


def _could_name(column: pl.Series, least: int) -> bool:
    is_name = column.dtype in (pl.String, pl.Categorical, pl.Enum) or column.dtype.is_integer()
    if column.dtype == pl.String:  # columns of a text file are all text; fractions are not names
        is_name = not bool(column.head(1000).str.contains(r"^[+-]?\d+[.,]\d+$").any())
    return is_name and 1 < column.n_unique() <= len(column) / least
