"""The formats that are read, each registered by its module with the endings of its files."""

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

Content = Table | dict[str, np.ndarray]  # what a file holds: a table, or arrays by name
Read = Callable[[Path, DataSettings], Content]


class Reader(NamedTuple):
    """How files of one ending are read: as a table, or as arrays; `packed`: compressed ones too."""

    read: Read
    arrays: bool
    packed: bool


READERS: dict[str, Reader] = {}
F = TypeVar("F", bound=Read)


def reads(*suffixes: str, arrays: bool = False, packed: bool = True) -> Callable[[F], F]:
    """Return a decorator that registers a function as the reader of files with these endings."""

    def register(read: F) -> F:
        READERS.update(dict.fromkeys(suffixes, Reader(read, arrays, packed)))
        return read

    return register


def table_suffixes() -> tuple[str, ...]:
    """Return the endings of files that hold tables, plain and compressed."""
    plain = [suffix for suffix, reader in READERS.items() if not reader.arrays]
    return (*plain, *(f"{suffix}{packing}" for suffix in plain for packing in PACKED))


def read_content(path: Path, settings: DataSettings) -> Content | None:
    """Return what a file holds, with its missing values as nulls; None for an ending that no reader has.

    Raises:  DataError for a file that is missing, no regular file, too large or damaged
    """
    check_file(path, settings.max_bytes)
    suffix = Path(inner_name(path)).suffix
    reader = READERS.get(suffix)
    if reader is None:
        return None
    if not reader.packed and path.suffix.lower() in PACKED:
        raise DataError(f"a compressed {suffix} file is not read", where=str(path), cure="unpack it first")
    if spill() is None:
        check_room(path)
    try:
        content = reader.read(path, settings)
        return content.with_missing(settings.missing_values) if isinstance(content, Table) else content
    except MemoryError:
        cure = "use a smaller file; data.max_bytes (--max-bytes) refuses large ones before they are read"
        raise DataError("too large for the memory there is", where=str(path), cure=cure) from None
