"""Delimited text (CSV, TSV): every row is checked against the header, and errors name the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.read.compression import inner_name
from retrograd.data.read.encoding import is_plain
from retrograd.data.read.files import chunks
from retrograd.data.read.layout import CsvReader, Layout, find_layout, fits
from retrograd.data.read.reader import reads
from retrograd.data.read.records import table_of_records
from retrograd.data.read.rows import RowChunk, chunk_rows
from retrograd.data.read.text import open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, TextForm

PEEK_LINES = 200  # that decide how the file is laid out
PEEK_CHARACTERS = 1 << 19  # and no more, where they are long
SEPARATED = (".csv", ".tsv", ".txt", ".data")
FEWEST_LINES = 5  # however long they are


@reads(".csv", ".txt", ".data")
def read_delimited(path: Path, settings: DataSettings) -> Table:
    """Return a CSV or TSV file as a Table of text.

    Raises:  DataError naming the lines that do not fit the header, a NUL, a quote that is never closed
    """
    encoding = text_encoding(path, settings)
    with open_lines(path, encoding) as lines:
        sample = first_lines(lines)
        rest = next(lines, None)
        layout = find_layout(sample, settings, whole=rest is None)
        reader = layout.reader(chain(sample, [] if rest is None else [rest], lines))
        try:
            table = table_of_records(path, _chunks(reader), layout, settings)
        except csv.Error as error:
            message = _explained(str(error))
        else:
            return replace(table, form=TextForm(encoding, layout.separator, settings.decimal or "."))
    line = _faulty_line(path, encoding, layout)
    raise DataError(f"line {line}: {message}", where=f"{path}:{line}")


@reads(".tsv")
def read_tsv(path: Path, settings: DataSettings) -> Table:
    """Return a TSV file as a Table of text: tabs stand between its cells unless the settings say otherwise."""
    return read_delimited(path, replace(settings, separator=settings.separator or "\t"))


def form_of_its_own(path: Path, settings: DataSettings) -> DataSettings:
    """Return the settings for a further file, without an encoding or separator that plainly is not that file's."""
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
    """Return the lines by which a file's layout is recognised."""
    sample: list[str] = []
    total = 0
    for line in lines:
        sample.append(line)
        total += len(line)
        if len(sample) >= PEEK_LINES or (total > PEEK_CHARACTERS and len(sample) >= FEWEST_LINES):
            break
    return sample


def _chunks(reader: CsvReader) -> Iterator[RowChunk]:
    """Yield the records in chunks, first those that decide on the header; blank lines are no records."""
    size = PEEK_LINES
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
            size = chunk_rows(len(rows[0]))


def _faulty_line(path: Path, encoding: str, layout: Layout) -> int:
    """Return the line where the record begins that the csv module cannot read; it only tells where that one ends."""
    with open_lines(path, encoding) as lines:
        reader = layout.reader(lines)
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
