"""Delimited text (CSV, TSV): every row is checked against the header, and faults are told by line number."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from retrograd.base.errors import DataError
from retrograd.data.rows import RowCollector
from retrograd.data.settings import MISSING_WORDS, DataSettings
from retrograd.data.table import Table, refuse_duplicates
from retrograd.data.text import open_lines, text_encoding

PEEK_ROWS = 100  # rows that decide whether the first line is a header
SEPARATORS = ",;\t|"

Record = tuple[int, list[str]]  # the line where it begins, and its cells


def read_delimited(path: Path, settings: DataSettings) -> Table:
    """Return a CSV or TSV file as a Table of text.

    Raises:  DataError naming the lines that do not fit the header, a NUL, a quote that is never closed
    """
    with open_lines(path, text_encoding(path, settings)) as lines:
        first = next(lines, "")
        separator = settings.separator or _find_separator(first, settings.decimal)
        records = _records(chain([first], lines), separator, path)
        peek = list(islice(records, PEEK_ROWS))
        if not peek:
            raise DataError("empty: no header and no data rows", where=str(path))
        has_header = _has_header([cells for _, cells in peek]) if settings.header is None else settings.header
        collector = RowCollector(path, _names(peek[0][1], has_header, path), settings.decimal)
        for line, cells in chain(peek[has_header:], records):
            collector.add(line, cells)
    return collector.table()


def _records(lines: Iterator[str], separator: str, path: Path) -> Iterator[Record]:
    """Yield the records of the text; blank lines are none."""
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(f"line {begin}: {_explained(str(error))}", where=f"{path}:{begin}") from None
        if cells:
            yield begin, cells


def _explained(message: str) -> str:
    """Return the csv module's message in words that say what to look for."""
    if "unexpected end" in message:
        return "a quote is opened here and never closed"
    if "field limit" in message:
        return f"a cell is too long (more than {csv.field_size_limit():,} characters), or its quote is never closed"
    return f"{message} (a quote inside a quoted cell is written twice)"


def _find_separator(line: str, decimal: str) -> str:
    """Return the separator that cuts the first line into the most cells."""
    candidates = SEPARATORS.replace(decimal, "")
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
