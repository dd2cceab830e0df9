"""JSON Lines: one object per line, its keys are the columns; cells become text and are read as in any table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.read.reader import reads
from retrograd.data.read.rows import RowChunk, chunk_rows, collect_rows
from retrograd.data.read.text import open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table


@reads(".jsonl", ".ndjson")
def read_jsonl(path: Path, settings: DataSettings) -> Table:
    """Return a JSONL file as a Table of text; a key missing from a line is a missing value.

    Raises:  DataError naming a line that is not a JSON object, repeats a key or contains a list or an object
    """
    encoding = text_encoding(path, settings)
    names: dict[str, None] = {}  # a dict keeps the keys in the order of their first appearance
    for _, row in _objects(path, encoding):
        names.update(dict.fromkeys(row))
    return collect_rows(path, list(names), _chunks(_objects(path, encoding), list(names)))


def _chunks(objects: Iterator[tuple[int, dict[str, str | None]]], names: list[str]) -> Iterator[RowChunk]:
    while chunk := list(islice(objects, chunk_rows(len(names)))):
        yield RowChunk(np.array([line for line, _ in chunk]), [[row.get(name) for name in names] for _, row in chunk])


def _objects(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line number and the object of each line that is not blank."""
    with open_lines(path, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield number, _parsed(line, number, path)


def _parsed(line: str, number: int, path: Path) -> dict[str, str | None]:
    where = f"{path}:{number}"
    try:  # numbers stay text: no digit is lost, and none is too long to convert
        row = json.loads(line, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=object_of_pairs)
    except RecursionError:
        raise DataError(f"line {number} is nested too deeply", where=where) from None
    except json.JSONDecodeError as error:
        raise DataError(f"line {number}, column {error.colno}: {error.msg}", where=where) from None
    except ValueError as error:
        raise DataError(f"line {number}: {error}", where=where) from None
    if not isinstance(row, dict):
        raise DataError(f"line {number}: expected an object such as {{'x': 1}}", where=where)
    if "\\u" in line and not _is_text(row):
        raise DataError(f"line {number} contains half a character (a lone surrogate)", where=where)
    return {name: cell_text(value, f"line {number}", name, where) for name, value in row.items()}


def object_of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict.

    Raises:  ValueError for a key that occurs twice
    """
    row = dict(pairs)
    if len(row) < len(pairs):
        raise ValueError(f"duplicate key '{_twice(pairs)}'")
    return row


def _twice(pairs: list[tuple[str, Any]]) -> str:
    names = [name for name, _ in pairs]
    return next(name for name in names if names.count(name) > 1)


def _is_text(row: dict[str, Any]) -> bool:
    """Return whether keys and texts can be encoded; JSON can contain half a character, such as "\\ud800"."""
    try:
        "".join([*row, *(value for value in row.values() if isinstance(value, str))]).encode()
    except UnicodeEncodeError:
        return False
    return True


def cell_text(value: Any, row: str, name: str, where: str) -> str | None:
    """Return a JSON value as the text of a cell; a list of texts becomes texts separated by bars.

    Raises:  DataError for an object, or a list of anything else
    """
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value) and not _has_numbers(value):
        return "|".join(value)
    if isinstance(value, (dict, list)):
        if not value:
            return None
        kind = "an object" if isinstance(value, dict) else "a list"
        raise DataError(f"{row}, key '{name}': a cell cannot be {kind}", where=where)
    if isinstance(value, bool):
        return "true" if value else "false"
    text: str | None = value
    return text


def _has_numbers(cells: list[str]) -> bool:
    """Return whether a list contains numbers, which were read as text."""
    try:
        float(cells[0])
    except ValueError:
        return False
    return True
