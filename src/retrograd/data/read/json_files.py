"""JSON documents with a table: records, columns, or what data frames and web services write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from retrograd.base.errors import DataError
from retrograd.data.read.files import open_bytes
from retrograd.data.read.jsonl import cell_text, object_of_pairs, read_jsonl
from retrograd.data.read.reader import reads
from retrograd.data.read.records import table_of_rows
from retrograd.data.read.text import open_lines, text_encoding
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, checked

DEEPEST = 3  # maximum nesting of objects around the rows in the response of a web service
PEEK_BYTES = 1 << 16
PLAIN: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str}  # no digit is lost


@reads(".json")
def read_json(path: Path, settings: DataSettings) -> Table:
    """Return the table in a JSON document: a list of objects or lists, columns, or an object that contains one of them.

    Raises:  DataError with line and column for invalid JSON; for a document with no table, or with several
    """
    with open_lines(path, text_encoding(path, settings)) as lines:
        text = "".join(lines)
    where = str(path)
    try:
        document = json.loads(text, object_pairs_hook=object_of_pairs, **PLAIN)
    except RecursionError:
        raise DataError("nested too deeply", where=where) from None
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and text.lstrip()[:1] == "{":
            return read_jsonl(path, settings)
        message = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise DataError(message, where=f"{path}:{error.lineno}") from None
    except ValueError as error:
        raise DataError(str(error), where=where) from None
    rows, notes = _found(document, where)
    if rows and isinstance(rows[0], list):
        rows = [[cell_text(cell, f"row {i}", str(j + 1), where) or "" for j, cell in enumerate(row)]
                for i, row in enumerate(rows, start=1)]  # fmt: skip
        return table_of_rows(path, rows, settings, notes)
    return replace(_of_objects(rows, where), notes=notes)


def holds_rows(path: Path, sections: Callable[[str], bool]) -> bool:
    """Return whether a .json file contains a table rather than a configuration, whose keys satisfy `sections`."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with open_bytes(path) as stream:
        start = stream.read(PEEK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"[":
        return start[1:].lstrip()[:1] in (b"{", b"[")
    try:
        document = json.loads(path.read_bytes()) if len(start) < PEEK_BYTES else None
    except (ValueError, RecursionError):
        lines = start.splitlines()
        return len(lines) > 1 and lines[1].lstrip()[:1] == b"{" and lines[0].rstrip()[-1:] == b"}"
    if document is None:
        return True  # no configuration is that long
    if not isinstance(document, dict) or not document:
        return False
    if isinstance(document.get("data"), list):
        return True
    return not any(map(sections, document)) and _is_table(document)


def _is_table(document: Mapping[str, Any]) -> bool:
    try:
        _found(document, "")
    except DataError:
        return False
    return True


def _found(document: Any, where: str) -> tuple[list[Any], tuple[str, ...]]:
    """Return the rows in a document (all objects, or all lists), and a note on how they were found."""
    candidates = list(_tables(document, "", 0))
    if len(candidates) != 1:
        several = f"several tables ({', '.join(repr(name) for name, _, _ in candidates)})" if candidates else "no table"
        cure = 'write a list of objects such as [{"x": 1}], or columns such as {"x": [1, 2]}'
        raise DataError(f"the document contains {several}", where=where, cure=cure)
    name, rows, how = candidates[0]
    place = f" under '{name}'" if name else ""
    return rows, (f"read as {how}{place}",) if name or how != "a list of objects" else ()


def _tables(value: Any, name: str, depth: int) -> Iterator[tuple[str, list[Any], str]]:
    """Yield the name, rows and form of each table in a document."""
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        yield name, value, "a list of objects"
    elif isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        yield name, value, "a list of rows"
    elif isinstance(value, dict) and value:
        if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
            yield name, [value["columns"], *value["data"]], "columns and data"
        elif _is_columns(value):
            yield name, _of_columns(value), "columns"
        elif isinstance(value.get("data"), list) and (rows := list(_tables(value["data"], "data", depth))):
            yield from rows
        elif _is_labelled(value):
            yield from _of_labelled(value, name)
        elif depth < DEEPEST:
            for key, inner in value.items():
                yield from _tables(inner, f"{name}.{key}" if name else key, depth + 1)


def _is_columns(value: dict[str, Any]) -> bool:
    columns = list(value.values())
    if not all(isinstance(column, list) and column for column in columns):
        return False
    plain = all(not isinstance(cell, (dict, list)) for column in columns for cell in column)
    return plain and len({len(column) for column in columns}) == 1


def _of_columns(columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _is_labelled(value: dict[str, Any]) -> bool:
    """Return whether a value is an object of objects with the same keys and plain cells."""
    rows = list(value.values())
    if not all(isinstance(row, dict) and row and row.keys() == rows[0].keys() for row in rows):
        return False
    return not any(isinstance(cell, (dict, list)) for row in rows for cell in row.values())


def _of_labelled(value: dict[str, dict[str, Any]], name: str) -> Iterator[tuple[str, list[Any], str]]:
    """Yield the table of an object of objects: columns of labelled cells (as pandas writes by default), or rows."""
    labels = list(next(iter(value.values())))
    if all(key.isdecimal() for key in value) and not all(label.isdecimal() for label in labels):
        yield name, list(value.values()), "rows by their labels"
    else:
        yield name, _of_columns({key: list(column.values()) for key, column in value.items()}), "columns"


def _of_objects(rows: list[dict[str, Any]], where: str) -> Table:
    """Return objects as a Table of text; nested objects become columns with dots in their names."""
    flat = [_flat(row, "") for row in rows]
    names: dict[str, None] = {}
    for row in flat:
        names.update(dict.fromkeys(row))
    cells = {name: [cell_text(row.get(name), f"row {i}", name, where) for i, row in enumerate(flat, start=1)]
             for name in names}  # fmt: skip
    try:
        return checked(Table(pl.DataFrame(cells, schema=dict.fromkeys(names, pl.String)), where))
    except UnicodeEncodeError:
        raise DataError("a text contains half a character (a lone surrogate)", where=where) from None


def _flat(row: dict[str, Any], before: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[f"{before}{key}"] = value
    return flat
