"""Columns in files, mapped into memory: rows are read on demand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

SHARE = 0.5  # of the machine's memory that the system keeps of files, beside all that it does


def is_mapped(columns: Mapping[str, Any]) -> bool:
    """Return whether columns are mapped from files."""
    return any(isinstance(column, np.memmap) for column in columns.values())


def exceeds_page_cache(columns: Mapping[str, Any]) -> bool:
    """Return whether columns are so large that rows in random order would be read from disk one by one in every epoch.

    A rule of the machine's whole memory, not of what is free, so that a run that is resumed there has the same order.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return float(sum(column.nbytes for column in columns.values())) > SHARE * memory
