"""The readable formats, each registered by its module with its file name extensions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from retrograd.base.errors import DataError
from retrograd.data.read.compression import SUFFIXES as PACKED
from retrograd.data.read.compression import inner_name
from retrograd.data.read.files import check_file, check_room
from retrograd.data.scanned import spill
from retrograd.data.settings import DataSettings
from retrograd.data.table import Table

Content = Table | dict[str, np.ndarray]  # of a file: a table, or arrays by name
Read = Callable[[Path, DataSettings], Content]


class Reader(NamedTuple):
    """How files with one extension are read: as a table, or as arrays; `packed`: also compressed."""

    read: Read
    arrays: bool
    packed: bool


READERS: dict[str, Reader] = {}
F = TypeVar("F", bound=Read)


def reads(*suffixes: str, arrays: bool = False, packed: bool = True) -> Callable[[F], F]:
    """Return a decorator that registers a function as the reader of files with these extensions."""

    def register(read: F) -> F:
        READERS.update(dict.fromkeys(suffixes, Reader(read, arrays, packed)))
        return read

    return register


def table_suffixes() -> tuple[str, ...]:
    """Return the extensions of files that contain tables, plain and compressed."""
    plain = [suffix for suffix, reader in READERS.items() if not reader.arrays]
    return (*plain, *(f"{suffix}{packing}" for suffix in plain for packing in PACKED))


def read_content(path: Path, settings: DataSettings) -> Content | None:
    """Return the content of a file, with missing values as nulls; None for an extension without a reader.

    Raises:  DataError for a file that is missing, not a regular file, too large or damaged
    """
    check_file(path, settings.max_bytes)
    suffix = Path(inner_name(path)).suffix
    reader = READERS.get(suffix)
    if reader is None:
        return None
    if not reader.packed and path.suffix.lower() in PACKED:
        raise DataError(f"a {suffix} file cannot be read compressed", where=str(path), cure="unpack it first")
    if spill() is None:
        check_room(path)
    try:
        content = reader.read(path, settings)
        return content.with_missing(settings.missing_values) if isinstance(content, Table) else content
    except MemoryError:
        cure = "use a smaller file; data.max_bytes (--max-bytes) rejects large ones before they are read"
        raise DataError("the file is too large for the available memory", where=str(path), cure=cure) from None
