"""Opening data files: only regular ones, only up to a size, decompressed on the way."""

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

from retrograd.base.errors import DataError, ResourceError
from retrograd.base.memory import host_bytes
from retrograd.data.read.compression import SUFFIXES, decompressed

CHUNK_BYTES = 1 << 20
MEMORY_PER_BYTE = 32  # of a text file while it becomes batches, measured with the shortest cells, which cost most


def check_file(path: Path, max_bytes: int) -> None:
    """Refuse what is not a regular file of at most `max_bytes`, without opening it (a FIFO would block)."""
    try:
        status = os.stat(path)
    except PermissionError:
        raise ResourceError("permission denied", where=str(path)) from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise DataError(
            "not found", where=str(path), cure="check the path; data are never fetched from a URL"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file", where=str(path), cure="name a file with data")
    if status.st_size > max_bytes:
        raise too_large(path, f"{status.st_size:,} bytes", max_bytes)


def too_large(path: Path | str, size: str, max_bytes: int) -> DataError:
    """Return the error for data beyond the limit, which names the limit's setting."""
    cure = "raise data.max_bytes (--max-bytes) if there is memory for it"
    return DataError(f"{size}, more than the limit of {max_bytes:,} bytes", where=str(path), cure=cure)


def check_room(path: Path) -> None:
    """Refuse a file whose table would not fit into this process's memory limit (`ulimit -v`).

    Beyond the limit polars would not raise MemoryError but end the process.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    room = max(0, limit - used) // MEMORY_PER_BYTE
    size = path.stat().st_size
    if size > room:
        message = f"{size:,} bytes, too many for the memory of this process (ulimit -v has room for {room:,})"
        raise DataError(message, where=str(path), cure="use a smaller file; --max-bytes refuses large ones earlier")


def require_memory(needed: int, path: Path) -> None:
    """Refuse a table that would take more bytes than there are."""
    room = host_bytes()
    if room is not None and needed > room:
        message = f"the table would take {needed:,} bytes of memory, {room:,} are available"
        cure = "leave `data: {stream: never}` out, or name a kind of file that can stay on disk: CSV, JSONL, Parquet"
        raise DataError(message, where=str(path), cure=cure)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed as its name asks; what goes wrong on the way is a DataError."""
    try:
        with open(path, "rb") as raw, decompressed(raw, path) as stream:
            yield stream
    except PermissionError:
        raise ResourceError("permission denied", where=str(path)) from None


def chunks(path: Path, max_bytes: int) -> Iterator[bytes]:
    """Yield a file's (decompressed) bytes piece by piece, up to the limit."""
    check_file(path, max_bytes)
    total = 0
    with open_bytes(path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            total += len(chunk)
            if total > max_bytes:
                raise too_large(path, "too large when decompressed", max_bytes)
            yield chunk


def seekable(path: Path, max_bytes: int) -> Path | io.BytesIO:
    """Return what readers of whole files take: the path, or the bytes of a compressed file, up to the limit."""
    return io.BytesIO(b"".join(chunks(path, max_bytes))) if path.suffix.lower() in SUFFIXES else path


def file_digest(path: Path, max_bytes: int) -> str:
    """Return the SHA-256 of a file's (decompressed) bytes as hexadecimal text."""
    digest = hashlib.sha256()
    for chunk in chunks(path, max_bytes):
        digest.update(chunk)
    return digest.hexdigest()
