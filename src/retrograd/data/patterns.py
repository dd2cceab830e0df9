"""Patterns such as `parts/*.csv`: whether a path is a pattern, and the files that match it."""

from __future__ import annotations

import glob
from pathlib import Path

from retrograd.base.errors import DataError

MARKS = "*?["  # characters that make a path a pattern


def is_pattern(path: Path) -> bool:
    """Return whether a path is a pattern and not an existing file."""
    return any(mark in str(path) for mark in MARKS) and not path.exists()


def matching(path: Path) -> list[Path]:
    """Return the files that match a pattern, sorted by name.

    Raises:  DataError if there are none
    """
    files = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file())
    if not files:
        raise DataError("no file matches the pattern", where=str(path), cure="check the path")
    return files
