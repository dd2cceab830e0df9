"""Reading on in a log that grows: from a place that was reached before, in whole lines.

A run that goes on takes back what it recorded after its last checkpoint, and `--force` puts another log in the place of
the old one. The place therefore says which file it is in, and what stood just before it; where that is no longer so,
reading begins again.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import NamedTuple

from retrograd.record.files import open_regular

SEEN = 256  # bytes before a place that must still be there; the time of an event is among them
MOST_BYTES = 2**22  # of one portion


class Place(NamedTuple):
    """How far a log was read: the file's number, the bytes before, and a checksum of the last of them."""

    file: int = 0
    offset: int = 0
    checksum: int = 0


class Portion(NamedTuple):
    """Whole lines that follow a place, and the place after them; `again`: they are the first ones of a log."""

    place: Place
    lines: bytes
    again: bool
    more: bool  # whether further lines can be read at once


def read_on(path: Path, place: Place, most: int = MOST_BYTES) -> Portion:
    """Return the lines that were added after a place, or all from the start where the log is another one now.

    Raises:  UsageError when there is no such file
    """
    with open_regular(path) as stream:
        status = os.fstat(stream.fileno())
        again = place.offset == 0 or not _is_there(stream.fileno(), status, place)
        offset = 0 if again else place.offset
        block = os.pread(stream.fileno(), most, offset)
        lines = block[: block.rfind(b"\n") + 1]
        end = offset + len(lines)
        seen = _seen(stream.fileno(), end)
        more = bool(lines) and end < status.st_size
        return Portion(Place(status.st_ino, end, seen), lines, again, more)


def _is_there(descriptor: int, status: os.stat_result, place: Place) -> bool:
    same = status.st_ino == place.file and status.st_size >= place.offset
    return same and _seen(descriptor, place.offset) == place.checksum


def _seen(descriptor: int, offset: int) -> int:
    begin = max(0, offset - SEEN)
    return zlib.crc32(os.pread(descriptor, offset - begin, begin))
