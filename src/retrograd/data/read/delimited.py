"""Delimited text (CSV, TSV); every row is checked against the header, and errors name the line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.read.compression import inner_name
from retrograd.data.read.encoding import is_plain
from retrograd.data.read.files import chunks
from retrograd.data.read.layout import CsvReader, Layout, find_layout, fits
from retrograd.data.read.reader import reads
from retrograd.data.read.records import table_of_records
from retrograd.data.read.rows import RowChunk, RowFrame, chunk_rows
from retrograd.data.read.text import Lines, open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, TextForm

PEEK_LINES = 200  # number of lines by which the layout is recognised
PEEK_CHARACTERS = 1 << 19  # limit if they are long
SEPARATED = (".csv", ".tsv", ".txt", ".data")
FEWEST_LINES = 5  # even if they are longer
MOST_BYTES, FEWEST_BYTES, SHRINK = (
    1 << 24,
    1 << 18,
    4,
)  # size of the blocks that polars reads, reduced where it cannot read one
NEWLINE, QUOTE = ord("\n"), ord('"')
BLANK_LINES = re.compile(rb"\n{2,}")


@reads(".csv", ".txt", ".data")
def read_delimited(path: Path, settings: DataSettings) -> Table:
    """Return a CSV or TSV file as a Table of text.

    Raises:  DataError naming lines that do not fit the header, a NUL, or a quote that is never closed
    """
    encoding = text_encoding(path, settings)
    with open_lines(path, encoding) as lines:
        layout = find_layout(first_lines(lines), settings, whole=next(lines, None) is None)
    with open_lines(path, encoding) as lines:
        chunks = _plain_chunks(lines, layout) if layout.is_plain else _chunks(layout.reader(lines))
        try:
            table = table_of_records(path, chunks, layout, settings)
        except csv.Error as error:
            message = _explained(str(error))
        else:
            return replace(table, form=TextForm(encoding, layout.separator, settings.decimal or "."))
    line = _faulty_line(path, encoding, layout)
    raise DataError(f"line {line}: {message}", where=f"{path}:{line}")


@reads(".tsv")
def read_tsv(path: Path, settings: DataSettings) -> Table:
    """Return a TSV file as a Table of text; cells are separated by tabs unless configured otherwise."""
    return read_delimited(path, replace(settings, separator=settings.separator or "\t"))


def form_of_its_own(path: Path, settings: DataSettings) -> DataSettings:
    """Return the settings for another file, without an encoding or separator that clearly does not suit it."""
    if not path.is_file() or Path(inner_name(path)).suffix not in SEPARATED:
        return settings
    if settings.encoding is not None and is_plain(lambda: chunks(path, settings.max_bytes)):
        settings = replace(settings, encoding=None)
    if settings.separator is not None:
        with open_lines(path, text_encoding(path, settings)) as lines:
            sample = first_lines(lines)
        if sample and not fits(sample, settings.separator):
            settings = replace(settings, separator=None, decimal=None)
    return settings


def first_lines(lines: Iterator[str]) -> list[str]:
    """Return the lines by which the layout of a file is recognised."""
    sample: list[str] = []
    total = 0
    for line in lines:
        sample.append(line)
        total += len(line)
        if len(sample) >= PEEK_LINES or (total > PEEK_CHARACTERS and len(sample) >= FEWEST_LINES):
            break
    return sample


def _plain_chunks(lines: Lines, layout: Layout) -> Iterator[RowChunk | RowFrame]:
    """Yield the records in chunks: first those that decide on the header, then blocks read by polars.

    Blocks that polars would read differently from the csv module are read by the csv module.
    """
    first = next(_chunks(layout.reader(lines)), None)
    if first is None:
        return
    yield first
    width, size, layout = len(first.rows[-1]), MOST_BYTES, replace(layout, skip_lines=0)
    while text := lines.peek(size):
        block = plain_rows(text, layout.separator, width, lines.number + 1)
        if block is not None:
            yield block.rows
            lines.take(block.bytes, block.lines)
            size = min(MOST_BYTES, size * SHRINK)
        elif size > FEWEST_BYTES:
            size //= SHRINK
        else:
            yield from islice(_chunks(layout.reader(lines), lines.number), 1)


def _chunks(reader: CsvReader, before: int = 0) -> Iterator[RowChunk]:
    """Yield the records in chunks, first those that decide on the header; blank lines are skipped.

    `before` is the number of lines already read.
    """
    size = PEEK_LINES
    while True:
        begin = before + reader.line_num + 1
        rows = list(islice(reader, size))
        if not rows:
            return
        lines = np.arange(begin, begin + len(rows))
        if before + reader.line_num + 1 - begin != len(rows):  # a quoted cell spans several lines
            heights = [1 + sum(cell.count("\n") for cell in row) for row in rows]
            lines = begin + np.cumsum([0, *heights[:-1]])
        if not all(rows):
            lines = lines[[bool(row) for row in rows]]
            rows = [row for row in rows if row]
        if rows:
            yield RowChunk(lines, rows)
            size = chunk_rows(len(rows[0]))


class PlainRows(NamedTuple):
    """The records of a block, and the number of bytes and lines that they take."""

    rows: RowFrame
    bytes: int
    lines: int


def plain_rows(text: bytes, separator: str, width: int, line: int) -> PlainRows | None:
    """Return the complete records of a block, which starts with a record at this line; None if only csv can decide.

    That is so if a quote is in the middle of a cell, a cell is longer than the csv module allows, or a record has
    another width.
    """
    array = np.frombuffer(text, np.uint8)
    feeds = np.flatnonzero(array == NEWLINE)
    quotes = np.flatnonzero(array == QUOTE) if b'"' in text else feeds[:0]
    ends = feeds[_outside(feeds, quotes)]
    if not len(ends):
        return None
    stop = int(ends[-1]) + 1
    quotes, feeds = quotes[quotes < stop], feeds[feeds < stop]
    marks = np.flatnonzero(array[:stop] == ord(separator))
    marks = marks[_outside(marks, quotes)]
    starts = np.concatenate([[0], ends[:-1] + 1])
    filled = ends > starts
    begins = line + (np.searchsorted(feeds, starts) if len(feeds) > len(ends) else np.arange(len(starts)))
    if not filled.all():
        if len(quotes):
            return None
        text, starts, ends, begins = BLANK_LINES.sub(b"\n", text[:stop]), starts[filled], ends[filled], begins[filled]
        text = text.removeprefix(b"\n")
    else:
        text = text[:stop]
    if not len(starts):
        return None
    is_regular = len(marks) == len(starts) * (width - 1) and int((ends - starts).max()) <= csv.field_size_limit()
    if is_regular and width > 1:
        first, last = marks[:: width - 1], marks[width - 2 :: width - 1]
        is_regular = bool((first >= starts).all() and (last < ends).all())
    if not is_regular or not _are_regular(array, quotes, ord(separator)):
        return None
    schema = {str(i): pl.String for i in range(width)}
    try:
        frame = pl.read_csv(text, has_header=False, schema=schema, separator=separator)
    except pl.exceptions.PolarsError:  # an incomplete character
        return None
    rows = RowFrame(begins, frame.with_columns(pl.all().fill_null("")))
    return PlainRows(rows, stop, len(feeds)) if len(frame) == len(starts) else None


def _outside(places: np.ndarray, quotes: np.ndarray) -> np.ndarray | slice:
    """Return which places are outside quoted cells, that is after an even number of quotes."""
    return np.searchsorted(quotes, places) % 2 == 0 if len(quotes) else slice(None)


def _are_regular(array: np.ndarray, quotes: np.ndarray, separator: int) -> bool:
    """Return whether each quote opens or closes a cell, or is one of two that mean a quote inside a cell."""
    before = array[quotes[::2] - 1]
    if len(quotes) and quotes[0] == 0:
        before = before[1:]
    after = array[quotes[1::2] + 1]
    return bool(
        np.isin(before, (NEWLINE, separator, QUOTE)).all() and np.isin(after, (NEWLINE, separator, QUOTE)).all()
    )


def _faulty_line(path: Path, encoding: str, layout: Layout) -> int:
    """Return the line where the record that the csv module cannot read begins; the module only reports its end."""
    with open_lines(path, encoding) as lines:
        reader = layout.reader(lines)
        begin = 1
        with suppress(csv.Error):
            for _ in reader:
                begin = reader.line_num + 1
    return begin


def _explained(message: str) -> str:
    """Return the csv module's message reworded to say what to look for."""
    if "unexpected end" in message:
        return "a quote opened here is never closed"
    if "field limit" in message:
        return f"a cell is too long (more than {csv.field_size_limit():,} characters), or its quote is never closed"
    return f"{message} (write a quote inside a quoted cell twice)"
