"""Tables of an SQLite database: its only table, or the result of a query."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting, setting
from retrograd.data.read.files import check_file
from retrograd.data.read.reader import reads
from retrograd.data.read.rows import RowChunk, chunk_rows, collect_rows
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table, refuse_duplicates
from retrograd.present.wording import some_of

READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
TABLES = "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite_%' order by name"
QUERY = "write " + setting("data", '{path: FILE, query: "select ... from ..."}')


@reads(".sqlite", ".sqlite3", ".db", ".db3", packed=False)
def read_sqlite(path: Path, settings: DataSettings) -> Table:
    """Return the rows of a query, or of the database's only table, as a Table of text; NULL is a missing value.

    The file is opened read-only, and a query can only select.

    Raises:  DataError for a file that is not a database, several tables without a query, or a cell of bytes;
             ConfigError for a query that SQLite rejects
    """
    check_file(path, settings.max_bytes)
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)) as database:
            notes: tuple[str, ...] = ()
            query = settings.query
            if query is None:
                name = _only_table(database, path)
                quoted = name.replace('"', '""')
                query, notes = (
                    f'select * from "{quoted}"',
                    (f"table '{name}' is read (" + data_setting("query") + " selects something else)",),
                )
            cursor = _selected(database, query)
            names = [column[0] for column in cursor.description]
            refuse_duplicates(names, str(path))
            table = collect_rows(path, names, _chunks(cursor, names, path))
    except sqlite3.DatabaseError as error:
        raise DataError(f"cannot be read as an SQLite database: {error}", where=str(path)) from None
    return replace(table, lines=None, notes=notes)


def _only_table(database: sqlite3.Connection, path: Path) -> str:
    names = [name for (name,) in database.execute(TABLES)]
    if len(names) != 1:
        tables = f"{len(names)} tables: {some_of(names)}" if names else "no tables"
        raise DataError(f"the database has {tables}", where=str(path), cure=QUERY)
    return str(names[0])


def _selected(database: sqlite3.Connection, query: str) -> sqlite3.Cursor:
    def only_reads(action: int, *_: Any) -> int:
        return sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY

    database.set_authorizer(only_reads)
    try:
        cursor = database.execute(query)
    except (sqlite3.DatabaseError, sqlite3.Warning, sqlite3.ProgrammingError) as error:
        raise ConfigError(f"SQLite rejects the query: {error}", where="data.query", cure=QUERY) from None
    if cursor.description is None:
        raise ConfigError("the query selects nothing", where="data.query", cure=QUERY)
    return cursor


def _chunks(cursor: sqlite3.Cursor, names: list[str], path: Path) -> Iterator[RowChunk]:
    row = 0
    while records := cursor.fetchmany(chunk_rows(len(names))):
        lines = np.arange(row + 1, row + len(records) + 1)
        yield RowChunk(lines, [[_text(cell, names[i], path) for i, cell in enumerate(cells)] for cells in records])
        row += len(records)


def _text(cell: Any, name: str, path: Path) -> str | None:
    if isinstance(cell, bytes):
        cure = "omit the column from the query"
        raise DataError(f"column '{name}' contains bytes", where=str(path), cure=cure)
    return None if cell is None else str(cell)
