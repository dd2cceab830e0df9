"""The event log of a run while it is written, with marks that tell whether its earlier contents are unchanged."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from pathlib import Path
from typing import NamedTuple

from retrograd.record.files import refusal

BLOCK = 2**20


class Mark(NamedTuple):
    """A place in the log: the number of bytes before it, and their SHA-256."""

    size: int
    sha256: str


class EventLog:
    """The event file of a run, to which complete lines are appended; they are in the file when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by close)
        self.size = os.fstat(self._stream.fileno()).st_size
        self._digest = self._read(self.size)

    @property
    def is_closed(self) -> bool:
        """Whether the log is closed."""
        return self._stream.closed

    def append(self, lines: bytes) -> None:
        """Append all of the lines, or nothing.

        Raises:  ResourceError if the disk is full
        """
        descriptor = self._stream.fileno()
        try:
            if os.fstat(descriptor).st_size > self.size:  # part of a line that could not be removed earlier
                os.ftruncate(descriptor, self.size)
            if self._stream.write(lines) != len(lines):  # a full disk silently writes only a part
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self.size)
            raise refusal(error, self.path) from None
        self._digest.update(lines)
        self.size += len(lines)

    def content(self) -> bytes:
        """Return everything written so far."""
        self._stream.seek(0)
        return self._stream.readall()

    def mark(self) -> Mark:
        """Return a mark at the current end of the log."""
        return Mark(self.size, self._digest.hexdigest())

    def holds(self, mark: Mark) -> bool:
        """Return whether the log still begins with its contents at the time of the mark."""
        return self._read(mark.size).hexdigest() == mark.sha256

    def cut(self, size: int) -> None:
        """Remove everything after the first `size` bytes.

        Raises:  ResourceError if writing fails
        """
        digest = self._read(size)
        try:
            os.ftruncate(self._stream.fileno(), size)
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise refusal(error, self.path) from None
        self._digest, self.size = digest, size

    def sync(self) -> None:
        """Flush the log to disk, so that it survives a power cut.

        Raises:  ResourceError if writing fails
        """
        try:
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise refusal(error, self.path) from None

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _read(self, size: int) -> hashlib._Hash:
        """Return the digest of the first `size` bytes, or of the whole log if it is shorter."""
        digest, remaining = hashlib.sha256(), size
        self._stream.seek(0)
        while remaining and (block := self._stream.read(min(remaining, BLOCK))):
            digest.update(block)
            remaining -= len(block)
        return digest
