"""Columns in files, mapped into memory, with rows read on demand."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

RESIDENT_BYTES = 32 << 20  # of mapped columns that a pass in order leaves in memory
SHARE = 0.5  # of the machine's memory that the system can use as page cache


def is_mapped(columns: Mapping[str, Any]) -> bool:
    """Return whether columns are mapped from files."""
    return any(isinstance(column, np.memmap) for column in columns.values())


def exceeds_page_cache(columns: Mapping[str, Any]) -> bool:
    """Return whether columns are so large that reading rows in random order would go to the disk for each row.

    The rule uses the machine's total memory, not the free memory, so that a resumed run has the same order.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return float(sum(column.nbytes for column in columns.values())) > SHARE * memory


def release(columns: Mapping[str, Any]) -> None:
    """Take the pages read so far out of the process's resident memory; the next access maps them again from the page
    cache. Without this, a pass over a table makes all of it resident.
    """
    for column in columns.values():
        pages = getattr(column, "_mmap", None)  # a copy of a mapped column has none
        is_private = getattr(column, "mode", "c") == "c"  # its changes would be lost
        if pages is not None and not is_private and hasattr(mmap, "MADV_DONTNEED"):
            pages.madvise(mmap.MADV_DONTNEED)


class Released:
    """Counts the bytes read in a pass over columns, and releases the pages of mapped ones from time to time."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns if is_mapped(columns) else {}
        self._row_bytes = sum(column.nbytes // max(1, len(column)) for column in self._columns.values())
        self._bytes = 0

    def read(self, rows: int) -> None:
        """Note that so many further rows have been used."""
        self._bytes += rows * self._row_bytes
        if self._bytes >= RESIDENT_BYTES:
            release(self._columns)
            self._bytes = 0
