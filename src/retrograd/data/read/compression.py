"""Compressed files: the name of what they contain, and its bytes."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from retrograd.base.errors import DataError
from retrograd.present.wording import some_of

SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")
FAULTS: tuple[type[Exception], ...] = (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


def inner_name(path: Path) -> str:
    """Return the name of a file's contents in lower case: without `.gz`, or that of the single file in a .zip.

    Raises:  DataError for a damaged archive, or one with several files
    """
    name = path.name.lower()
    if name.endswith(".zip") and path.is_file():
        with _archive(path) as archive:
            return PurePosixPath(_member(archive, path).filename).name.lower()
    return name.removesuffix(next((suffix for suffix in SUFFIXES if name.endswith(suffix)), ""))


@contextmanager
def decompressed(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """Yield the bytes of an open file, decompressed according to its name.

    Raises:  DataError for a damaged or protected archive
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".zip":
            with _archive(path) as archive, archive.open(_member(archive, path)) as member:
                yield member
        else:
            yield _opened(raw, suffix, path)
    except FAULTS as error:
        raise DataError(f"damaged {_kind(suffix)} file: {error}", where=str(path)) from None
    except RuntimeError as error:  # zipfile's error for a password
        if "password" not in str(error):
            raise
        raise DataError("the archive is protected by a password", where=str(path), cure="unpack it first") from None
    except OSError as error:
        if error.errno is not None or suffix not in SUFFIXES:  # bz2 raises a bare OSError for damaged files
            raise
        raise DataError(f"damaged {_kind(suffix)} file: {error}", where=str(path)) from None


def _opened(raw: IO[bytes], suffix: str, path: Path) -> IO[bytes]:
    if suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if suffix == ".bz2":
        return cast(IO[bytes], bz2.BZ2File(raw))
    if suffix == ".xz":
        return cast(IO[bytes], lzma.LZMAFile(raw))
    return _zstandard(raw, path) if suffix == ".zst" else raw


def _zstandard(raw: IO[bytes], path: Path) -> IO[bytes]:
    """Return a reader of zstd: Python's own since 3.14, otherwise that of the package zstandard."""
    if sys.version_info >= (3, 14):
        return cast(IO[bytes], importlib.import_module("compression.zstd").ZstdFile(raw))
    try:
        zstandard: Any = importlib.import_module("zstandard")
    except ImportError:
        cure = "install it with `pip install zstandard`, or decompress the file first (`unzstd`)"
        raise DataError("reading .zst needs Python 3.14 or the package zstandard", where=str(path), cure=cure) from None
    return cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True))


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DataError(f"damaged zip file: {error}", where=str(path)) from None
    except NotImplementedError as error:  # zipfile's error for an unknown compression method
        raise DataError(f"cannot be unpacked: {error}", where=str(path), cure="unpack it first") from None


def _member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    """Return the single file in an archive, ignoring what macOS adds."""
    hidden = ("__MACOSX/", ".")
    members = [
        member for member in archive.infolist() if not member.is_dir() and not member.filename.startswith(hidden)
    ]
    if len(members) != 1:
        names = f": {some_of([member.filename for member in members], 5)}" if members else ""
        cure = "unpack it, and use one of its files, or the folder if they are parts of one table"
        raise DataError(f"contains {len(members)} files{names}; expected one", where=str(path), cure=cure)
    return members[0]


def _kind(suffix: str) -> str:
    return {".gz": "gzip", ".xz": "xz", ".bz2": "bzip2"}.get(suffix, suffix.lstrip("."))
