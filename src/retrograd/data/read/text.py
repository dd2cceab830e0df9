"""The lines of a text file, decoded and checked block by block, so that a bad file costs no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrograd.base.errors import DataError
from retrograd.data.read.encoding import find_encoding
from retrograd.data.read.files import chunks, open_bytes
from retrograd.data.settings import DataSettings

SUFFIXES = (".txt", ".md", ".text")
BLOCK = 1 << 20  # characters
LINE_LIMIT = 1 << 22  # characters; a longer line is not a row of a table


def text_encoding(path: Path, settings: DataSettings) -> str:
    """Return the encoding of a text file, after a look at all of it."""
    return find_encoding(lambda: chunks(path, settings.max_bytes), path, settings.encoding)


@contextmanager
def open_lines(path: Path, encoding: str) -> Iterator[Iterator[str]]:
    """Open a text file as an iterator over its lines, which end in a line feed whatever they end in within the file.

    Raises:  DataError for a NUL, an endless line or bytes that do not fit the encoding, naming the line
    """
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding=encoding) as text:
        yield _checked(text, path, encoding)


def _checked(text: io.TextIOWrapper, path: Path, encoding: str) -> Iterator[str]:
    number, rest = 0, ""
    while block := _next_block(text, path, number, encoding):
        block = block.removeprefix("\ufeff") if number == 0 and not rest else block
        lines = list(io.StringIO(rest + block, newline="\n"))  # splits at line feeds alone, unlike str.splitlines
        if "\0" in block:
            _refuse_nul(lines, number, path)
        rest = "" if lines[-1].endswith("\n") else lines.pop()
        number += len(lines)
        if len(rest) > LINE_LIMIT:
            message = f"line {number + 1} is too long (more than {LINE_LIMIT:,} characters)"
            raise DataError(message, where=f"{path}:{number + 1}")
        yield from lines
    if rest:
        yield rest


def _next_block(text: io.TextIOWrapper, path: Path, number: int, encoding: str) -> str:
    try:
        return text.read(BLOCK)
    except UnicodeError as error:
        cure = "leave `encoding:` out to have it recognised, or name the right one"
        raise DataError(
            f"the text after line {number} is not {encoding}: {error}", where=str(path), cure=cure
        ) from None


def _refuse_nul(lines: list[str], before: int, path: Path) -> None:
    number = before + 1 + next(i for i, line in enumerate(lines) if "\0" in line)
    cure = "the file is damaged or not text; UTF-16 without a mark is read with `encoding: utf-16-le`"
    raise DataError(f"NUL character in line {number}", where=f"{path}:{number}", cure=cure)
