"""Following a log as it grows: reading complete lines from where the last read ended.

A resumed run removes the events after its last checkpoint, and `--force` replaces the log by another. A place therefore
identifies the file and the bytes just before it; if these have changed, reading starts over.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

from retrograd.record.files import open_regular

SEEN = 256  # bytes before a place that must be unchanged; they include the time of an event
MOST_BYTES = 2**22  # per portion


class Place(NamedTuple):
    """How far a log was read: the inode of the file, the offset, and a checksum of the bytes just before it."""

    file: int = 0
    offset: int = 0
    checksum: int = 0


class Portion(NamedTuple):
    """Complete lines that follow a place, and the place after them; `again`: reading started over."""

    place: Place
    lines: bytes
    again: bool
    more: bool  # whether more lines can be read immediately


def read_on(path: Path, place: Place, most: int = MOST_BYTES) -> Portion:
    """Return the lines added after a place, or those from the start if the log was replaced.

    Raises:  UsageError if there is no such file
    """
    with open_regular(path) as stream:
        status = os.fstat(stream.fileno())
        again = place.offset == 0 or not _is_unchanged(stream.fileno(), status, place)
        offset = 0 if again else place.offset
        block = os.pread(stream.fileno(), most, offset)
        lines = block[: block.rfind(b"\n") + 1]
        end = offset + len(lines)
        checksum = _checksum(stream.fileno(), end)
        more = bool(lines) and end < status.st_size
        return Portion(Place(status.st_ino, end, checksum), lines, again, more)


def _is_unchanged(descriptor: int, status: os.stat_result, place: Place) -> bool:
    same = status.st_ino == place.file and status.st_size >= place.offset
    return same and _checksum(descriptor, place.offset) == place.checksum


def _checksum(descriptor: int, offset: int) -> int:
    begin = max(0, offset - SEEN)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))
