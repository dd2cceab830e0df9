"""Columns in files, mapped into memory, with rows read on demand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

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
