"""Patterns such as `parts/*.csv`: whether a path is one, and the files that it matches."""

from __future__ import annotations

import glob
from pathlib import Path

from retrograd.base.errors import DataError

MARKS = "*?["  # of a pattern


def is_pattern(path: Path) -> bool:
    """Return whether a path is no file but a pattern that files match."""
    return any(mark in str(path) for mark in MARKS) and not path.exists()


def matching(path: Path) -> list[Path]:
    """Return the files that a pattern matches, sorted by name.

    Raises:  DataError when there are none
    """
    files = sorted(file for file in map(Path, glob.glob(str(path), recursive=True)) if file.is_file())
    if not files:
        raise DataError("no file matches the pattern", where=str(path), cure="check the path")
    return files
