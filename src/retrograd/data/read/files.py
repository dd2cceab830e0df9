"""Opening data files: only regular files up to a size limit, decompressed while reading."""

from __future__ import annotations

import hashlib
import io
import os
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from retrograd.base.errors import DataError, ResourceError, near_file
from retrograd.base.memory import host_bytes
from retrograd.base.sentence import setting
from retrograd.data.read.compression import SUFFIXES, decompressed

CHUNK_BYTES = 1 << 20
MEMORY_PER_BYTE = 32  # bytes of memory per byte of a text file while it becomes batches, measured with short cells


def check_file(path: Path, max_bytes: int) -> None:
    """Refuse anything but a regular file of at most `max_bytes`, without opening it (a FIFO would block).

    Raises:  DataError, ResourceError
    """
    try:
        status = os.stat(path)
    except PermissionError:
        raise ResourceError("permission denied", where=str(path)) from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise DataError(
            "not found", where=str(path), cure=f"{near_file(path)}; data are never fetched from a URL"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file", where=str(path), cure="use a data file")
    if status.st_size > max_bytes:
        raise too_large(path, f"{status.st_size:,} bytes", max_bytes)


def too_large(path: Path | str, size: str, max_bytes: int) -> DataError:
    """Return the error for data that exceed the limit."""
    cure = "raise data.max_bytes (--max-bytes) if there is enough memory"
    return DataError(f"{size}, more than the limit of {max_bytes:,} bytes", where=str(path), cure=cure)


def check_room(path: Path) -> None:
    """Refuse a file whose table would not fit in the memory limit of this process (`ulimit -v`).

    Beyond the limit, polars would end the process instead of raising MemoryError.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = max(0, limit - used) // MEMORY_PER_BYTE
    size = path.stat().st_size
    if size > room:
        message = f"{size:,} bytes are too many for the memory limit of this process (ulimit -v allows {room:,})"
        raise DataError(message, where=str(path), cure="use a smaller file; --max-bytes rejects large ones sooner")


def require_memory(needed: int, path: Path) -> None:
    """Refuse a table that would need more memory than there is."""
    room = host_bytes()
    if room is not None and needed > room:
        message = f"the table would need {needed:,} bytes of memory, but {room:,} are available"
        cure = (
            "remove " + setting("data.stream", "never") + ", or use a format that can stay on disk: CSV, JSONL, Parquet"
        )
        raise DataError(message, where=str(path), cure=cure)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed according to its name.

    Raises:  DataError for a damaged file; ResourceError without permission
    """
    try:
        with open(path, "rb") as raw, decompressed(raw, path) as stream:
            yield stream
    except PermissionError:
        raise ResourceError("permission denied", where=str(path)) from None


def chunks(path: Path, max_bytes: int) -> Iterator[bytes]:
    """Yield the (decompressed) bytes of a file piece by piece.

    Raises:  DataError beyond the limit
    """
    check_file(path, max_bytes)
    total = 0
    with open_bytes(path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            total += len(chunk)
            if total > max_bytes:
                raise too_large(path, "too large when decompressed", max_bytes)
            yield chunk


def seekable(path: Path, max_bytes: int) -> Path | io.BytesIO:
    """Return a source for readers of whole files: the path, or the decompressed bytes of a compressed file."""
    return io.BytesIO(b"".join(chunks(path, max_bytes))) if path.suffix.lower() in SUFFIXES else path


def file_digest(path: Path, max_bytes: int) -> str:
    """Return the SHA-256 of the (decompressed) bytes of a file as hexadecimal text."""
    digest = hashlib.sha256()
    for chunk in chunks(path, max_bytes):
        digest.update(chunk)
    return digest.hexdigest()
