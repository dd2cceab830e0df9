"""The log of a run's events while it is written: it is known how far it reaches, and what it held at any moment."""

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
    """A place in the log: how many bytes come before it, and their SHA-256."""

    size: int
    sha256: str


class EventLog:
    """The file of a run's events, to which whole lines are appended; each is in the file when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by close)
        self.size = os.fstat(self._stream.fileno()).st_size
        self._digest = self._read(self.size)

    @property
    def is_closed(self) -> bool:
        """Whether nothing can be appended any more."""
        return self._stream.closed

    def append(self, lines: bytes) -> None:
        """Append some lines, or nothing.

        Raises:  ResourceError when the disk is full
        """
        descriptor = self._stream.fileno()
        try:
            if os.fstat(descriptor).st_size > self.size:  # a part of a line that could not be taken back then
                os.ftruncate(descriptor, self.size)
            if self._stream.write(lines) != len(lines):  # a full disk takes a part and says nothing
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, self.size)
            raise refusal(error, self.path) from None
        self._digest.update(lines)
        self.size += len(lines)

    def content(self) -> bytes:
        """Return all that was written."""
        self._stream.seek(0)
        return self._stream.readall()

    def mark(self) -> Mark:
        """Return the end of the log as it is now."""
        return Mark(self.size, self._digest.hexdigest())

    def holds(self, mark: Mark) -> bool:
        """Return whether the log begins with what it held when the mark was made."""
        return self._read(mark.size).hexdigest() == mark.sha256

    def cut(self, size: int) -> None:
        """Take back what was written after so many bytes.

        Raises:  ResourceError when the disk refuses
        """
        digest = self._read(size)
        try:
            os.ftruncate(self._stream.fileno(), size)
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise refusal(error, self.path) from None
        self._digest, self.size = digest, size

    def sync(self) -> None:
        """Make what was written last through a power cut.

        Raises:  ResourceError when the disk refuses
        """
        try:
            os.fsync(self._stream.fileno())
        except OSError as error:
            raise refusal(error, self.path) from None

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()

    def _read(self, size: int) -> hashlib._Hash:
        """Return the digest of the first bytes, of a shorter log of all."""
        digest, left = hashlib.sha256(), size
        self._stream.seek(0)
        while left and (block := self._stream.read(min(left, BLOCK))):
            digest.update(block)
            left -= len(block)
        return digest
