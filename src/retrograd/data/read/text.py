"""The lines of a text file, decoded and checked block by block, so that a bad file takes no memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting
from retrograd.data.read.encoding import find_encoding
from retrograd.data.read.files import chunks, open_bytes, require_memory
from retrograd.data.scanned import spill
from retrograd.data.settings import DataSettings

SUFFIXES = (".txt", ".md", ".text")
BLOCK = 1 << 20  # characters
LEAST_MEMORY = 8  # bytes in memory, at least, for each byte of text
CHECK_MEMORY_FROM = 1 << 28  # bytes; free memory is checked only for larger files
ERRORS = "surrogatepass"  # lone surrogates come only from UTF-7, and are rejected when cells are made
LINE_LIMIT = 1 << 22  # characters; a longer line is not a row of a table


def text_encoding(path: Path, settings: DataSettings) -> str:
    """Return the encoding of a text file, after reading all of it.

    Raises:  DataError if its rows would not fit in memory and are not kept in files
    """

    def pieces() -> Iterator[bytes]:
        total = 0
        for piece in chunks(path, settings.max_bytes):
            total += len(piece)
            if total >= CHECK_MEMORY_FROM and spill() is None:
                require_memory(total * LEAST_MEMORY, path)
            yield piece

    return find_encoding(pieces, path, settings.encoding)


@contextmanager
def open_lines(path: Path, encoding: str) -> Iterator[Lines]:
    """Open a text file as an iterator over its lines; every line ending becomes a line feed.

    Raises:  DataError naming the line for a NUL, an overlong line, or bytes that do not fit the encoding
    """
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding=encoding) as text:
        yield Lines(text, path, encoding)


class Lines:
    """The lines of a text, read one by one or in bulk as UTF-8 bytes; `number` counts the lines read."""

    def __init__(self, text: io.TextIOWrapper, path: Path, encoding: str) -> None:
        self.path, self.encoding, self.number = path, encoding, 0
        self._text = text
        self._buffer, self._start = b"", 0
        self._has_ended = self._has_begun = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        end = self._buffer.find(b"\n", self._start) + 1
        while not end:
            seen = len(self._buffer) - self._start
            if not self._load(1):
                end = len(self._buffer)
                break
            end = self._buffer.find(b"\n", self._start + seen) + 1
            if not end and len(self._buffer) - self._start > LINE_LIMIT:
                self._refuse_endless()
        if end == self._start:
            raise StopIteration
        line = self._buffer[self._start : end].decode(errors=ERRORS)
        self.take(end - self._start, 1)
        return line

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, or all that remain, which then end in a line feed."""
        while len(self._buffer) - self._start < size and self._load(size):
            pass
        text = self._buffer[self._start : self._start + size]
        is_last = self._has_ended and self._start + size >= len(self._buffer)
        return text + b"\n" if is_last and text and not text.endswith(b"\n") else text

    def take(self, size: int, lines: int) -> None:
        """Skip some bytes, which are whole lines."""
        self._start = min(self._start + size, len(self._buffer))
        self.number += lines

    def _load(self, size: int) -> bool:
        """Read at least one more block; return whether there was one."""
        rest = self._buffer[self._start :]
        blocks, length = [rest], len(rest)
        while not self._has_ended:
            block = self._next_block()
            self._has_ended = not block
            blocks.append(block)
            length += len(block)
            if length >= size:
                break
        self._buffer, self._start = b"".join(blocks), 0
        return length > len(rest)

    def _next_block(self) -> bytes:
        try:
            text = self._text.read(BLOCK)
        except UnicodeError as error:
            cure = "remove " + data_setting("encoding") + " to have it detected, or set the right one"
            message = f"the text after line {self._lines_read()} is not valid {self.encoding}: {error}"
            raise DataError(message, where=str(self.path), cure=cure) from None
        if not self._has_begun:
            text, self._has_begun = text.removeprefix("\ufeff"), True
        block = text.encode(errors=ERRORS)
        if b"\0" in block:
            self._refuse_nul(block)
        return block

    def _lines_read(self) -> int:
        return self.number + self._buffer.count(b"\n", self._start)

    def _refuse_nul(self, block: bytes) -> None:
        number = self._lines_read() + block[: block.index(b"\0")].count(b"\n") + 1
        where = f"{self.path}:{number}"
        utf16 = data_setting("encoding", "utf-16-le")
        cure = "the file is damaged or not text; for UTF-16 without a byte-order mark, set " + utf16
        raise DataError(f"NUL character on line {number}", where=where, cure=cure)

    def _refuse_endless(self) -> None:
        if len(self._buffer[self._start :].decode(errors="ignore")) > LINE_LIMIT:
            message = f"line {self.number + 1} is too long (more than {LINE_LIMIT:,} characters)"
            raise DataError(message, where=f"{self.path}:{self.number + 1}")
