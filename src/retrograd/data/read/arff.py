"""ARFF, Weka's table format: names in a header, then rows of cells separated by commas."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.read.reader import reads
from retrograd.data.read.rows import RowChunk, chunk_rows, collect_rows
from retrograd.data.read.text import open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, refuse_duplicates

ATTRIBUTE = re.compile(r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"([^"]*)"|(\S+))\s+\S""", re.IGNORECASE)


@reads(".arff")
def read_arff(path: Path, settings: DataSettings) -> Table:
    """Return an ARFF file as a Table of text, with a column for each attribute.

    Raises:  DataError for a header without attributes or data, and for sparse rows
    """
    with open_lines(path, text_encoding(path, settings)) as lines:
        numbered = enumerate(lines, start=1)
        names = _names(numbered, path)
        refuse_duplicates(names, str(path))
        return collect_rows(path, names, _chunks(numbered, len(names), path), settings.invalid)


def _names(lines: Iterator[tuple[int, str]], path: Path) -> list[str]:
    names: list[str] = []
    for number, line in lines:
        text = line.strip()
        if text.lower().startswith("@data"):
            if names:
                return names
            raise DataError("@data without @attribute", where=f"{path}:{number}")
        if text.lower().startswith("@attribute"):
            match = ATTRIBUTE.match(text)
            if not match:
                message = f"line {number}: expected `@attribute NAME TYPE`, found {text[:40]!r}"
                raise DataError(message, where=f"{path}:{number}")
            names.append(next(group for group in match.groups() if group is not None))
    cure = "write `@attribute NAME TYPE` lines, then @data and the rows"
    raise DataError("there is no line @data", where=str(path), cure=cure)


def _chunks(lines: Iterator[tuple[int, str]], width: int, path: Path) -> Iterator[RowChunk]:
    rows = ((number, line.strip()) for number, line in lines if line.strip() and not line.lstrip().startswith("%"))
    first = next(rows, None)
    if first is None:
        return
    if first[1].startswith("{"):
        message = "sparse rows ({index value, ...}) are not supported"
        raise DataError(message, where=f"{path}:{first[0]}", cure="save as CSV")
    all_rows = chain([first], rows)
    while chunk := list(islice(all_rows, chunk_rows(width))):
        yield RowChunk(np.array([number for number, _ in chunk]), [_cells(line) for _, line in chunk])


def _cells(line: str) -> list[str]:
    """Return the cells of a row, with texts in single or double quotes."""
    mark = '"' if line.count('"') >= 2 and "'" not in line else "'"
    return next(csv.reader([line], quotechar=mark, escapechar="\\", skipinitialspace=True), [])
