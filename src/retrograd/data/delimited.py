"""Delimited text (CSV, TSV): every row is checked against the header, and faults are told by line number."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.rows import RowChunk, chunk_rows, collect_rows
from retrograd.data.settings import MISSING_WORDS, DataSettings
from retrograd.data.table import Table, TextForm, refuse_duplicates
from retrograd.data.text import open_lines, text_encoding


class CsvReader(Protocol):
    """What `csv.reader` returns, whose own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...


PEEK_ROWS = 100  # rows that decide whether the first line is a header
SEPARATORS = ",;\t|"
ENOUGH = 0.95  # share of a column's cells that make it one of decimal commas
WHOLE = r"^[+-]?\d+$"
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+$"
DECIMAL_COMMA = r"^\s*([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)\s*$"


def read_delimited(path: Path, settings: DataSettings) -> Table:
    """Return a CSV or TSV file as a Table of text.

    Raises:  DataError naming the lines that do not fit the header, a NUL, a quote that is never closed
    """
    encoding = text_encoding(path, settings)
    with open_lines(path, encoding) as lines:
        first = next(lines, "")
        separator = settings.separator or _find_separator(first, settings.decimal or ".")
        reader = _reader(chain([first], lines), separator)
        try:
            table = _read_table(reader, path, settings)
        except csv.Error as error:
            message = _explained(str(error))
        else:
            decimal = settings.decimal or _find_decimal(table.frame, separator)
            table = _with_points(table) if decimal == "," else table
            return replace(table, form=TextForm(encoding, separator, decimal))
    line = _faulty_line(path, encoding, separator)
    raise DataError(f"line {line}: {message}", where=f"{path}:{line}")


def _read_table(reader: CsvReader, path: Path, settings: DataSettings) -> Table:
    chunks = _chunks(reader, PEEK_ROWS)
    peek = next(chunks, None)
    if peek is None:
        raise DataError("empty: no header and no data rows", where=str(path))
    has_header = _has_header(peek.rows) if settings.header is None else settings.header
    names = _names(peek.rows[0], has_header, path)
    rest = RowChunk(peek.lines[has_header:], peek.rows[has_header:])
    return collect_rows(path, names, chain([rest], _chunks(reader, chunk_rows(len(names)))))


def _reader(lines: Iterable[str], separator: str) -> CsvReader:
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)


def _chunks(reader: CsvReader, size: int) -> Iterator[RowChunk]:
    """Yield the records in chunks; blank lines are no records."""
    while True:
        begin = reader.line_num + 1
        rows = list(islice(reader, size))
        if not rows:
            return
        lines = np.arange(begin, begin + len(rows))
        if reader.line_num + 1 - begin != len(rows):  # a quoted cell goes over several lines
            heights = [1 + sum(cell.count("\n") for cell in row) for row in rows]
            lines = begin + np.cumsum([0, *heights[:-1]])
        if not all(rows):
            lines = lines[[bool(row) for row in rows]]
            rows = [row for row in rows if row]
        if rows:
            yield RowChunk(lines, rows)


def _faulty_line(path: Path, encoding: str, separator: str) -> int:
    """Return the line where the record begins that the csv module cannot read; it only tells where that one ends."""
    with open_lines(path, encoding) as lines:
        reader = _reader(lines, separator)
        begin = 1
        with suppress(csv.Error):
            for _ in reader:
                begin = reader.line_num + 1
    return begin


def _explained(message: str) -> str:
    """Return the csv module's message in words that say what to look for."""
    if "unexpected end" in message:
        return "a quote is opened here and never closed"
    if "field limit" in message:
        return f"a cell is too long (more than {csv.field_size_limit():,} characters), or its quote is never closed"
    return f"{message} (a quote inside a quoted cell is written twice)"


def _with_points(table: Table) -> Table:
    """Return the table with decimal points for decimal commas."""
    return replace(table, frame=table.frame.with_columns(pl.all().str.replace(DECIMAL_COMMA, "$1.$2")))


def _find_decimal(frame: pl.DataFrame, separator: str) -> str:
    """Return `,` when the cells of some column are numbers with decimal commas, else `.`.

    In a file separated by commas, groups of three digits such as "1,234" are rather thousands.
    """
    for column in frame.iter_columns():
        cells = column.str.strip_chars().drop_nulls()
        cells = cells.filter(~cells.is_in(list(MISSING_WORDS)))
        is_comma = cells.str.contains(DECIMAL_COMMA)
        if not is_comma.any() or (is_comma | cells.str.contains(WHOLE)).mean() < ENOUGH:
            continue
        if separator != "," or not cells.filter(is_comma).str.contains(THOUSANDS).all():
            return ","
    return "."


def _find_separator(line: str, decimal: str) -> str:
    """Return the separator that cuts the first line into the most cells."""
    candidates = SEPARATORS.replace(decimal, "")
    for mark in candidates.replace(",", ""):
        cells = line.split(mark)
        if len(cells) > 1 and any(re.match(DECIMAL_COMMA, cell) for cell in cells):
            return mark  # a file without a header: the comma belongs to its numbers
    return max(candidates, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))


def _has_header(records: list[list[str]]) -> bool:
    """Tell whether the first record names the columns.

    A column of numbers under a text says yes. Otherwise a number in the first record says no.
    """
    first, others = records[0], records[1:]
    columns = [[row[i] for row in others if i < len(row)] for i in range(len(first))]
    numeric = [_is_number(cell) for cell in first]
    named = any(
        not (is_number or _is_missing(cell)) and _is_numeric(column)
        for cell, is_number, column in zip(first, numeric, columns, strict=True)
    )
    return named or not any(numeric)


def _is_numeric(column: list[str]) -> bool:
    cells = [cell for cell in column if not _is_missing(cell)]
    return bool(cells) and all(map(_is_number, cells))


def _is_missing(cell: str) -> bool:
    return cell.strip() in MISSING_WORDS


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return not _is_missing(cell)


def _names(first: list[str], is_header: bool, path: Path) -> list[str]:
    if not is_header:
        return [f"column_{i + 1}" for i in range(len(first))]
    names = [cell.strip() or f"unnamed_{i + 1}" for i, cell in enumerate(first)]
    refuse_duplicates(names, f"{path}:1")
    return names
