"""The lines of a text file, decoded and checked one at a time, so that a bad file costs no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrograd.base.errors import DataError
from retrograd.data.encoding import find_encoding
from retrograd.data.files import chunks, open_bytes
from retrograd.data.settings import DataSettings

LINE_LIMIT = 1 << 22  # characters; a longer line is not a row of a table


def text_encoding(path: Path, settings: DataSettings) -> str:
    """Return the encoding of a text file, after a look at all of it."""
    return find_encoding(chunks(path, settings.max_bytes), path, settings.encoding)


@contextmanager
def open_lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """Open a text file as an iterator over its lines, each with its line end.

    Raises:  DataError for a NUL, an endless line or bytes that do not fit the encoding, naming the line
    """
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding=encoding, newline="") as text:
        yield _checked(text, path, encoding)


def _checked(text: io.TextIOWrapper, path: Path, encoding: str) -> Iterator[str]:
    number = 0
    while line := _next_line(text, path, number + 1, encoding):
        number += 1
        where = f"{path}:{number}"
        if "\0" in line:
            cure = "the file is damaged or not text; UTF-16 without a mark is read with `encoding: utf-16-le`"
            raise DataError(f"NUL character in line {number}", where=where, cure=cure)
        if len(line) > LINE_LIMIT:
            raise DataError(f"line {number} is too long (more than {LINE_LIMIT:,} characters)", where=where)
        yield line.removeprefix("\ufeff") if number == 1 else line


def _next_line(text: io.TextIOWrapper, path: Path, number: int, encoding: str) -> str:
    try:
        return text.readline(LINE_LIMIT + 1)
    except UnicodeError as error:
        raise DataError(
            f"the text from line {number} on is not {encoding}: {error}",
            where=f"{path}:{number}",
            cure="leave `encoding:` out to have it recognised, or name the right one",
        ) from None
