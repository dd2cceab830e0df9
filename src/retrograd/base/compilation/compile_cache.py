"""Compiled programs cached between processes: only on request, because the setting affects the whole process."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

import jax

from retrograd.base.caches import cache_folder
from retrograd.base.compilation import program_files

COMPILED = "compiled"  # folder in the user's cache
MOST_BYTES = 1024**3  # enough for about ten thousand programs
BETWEEN = 24 * 3600.0  # seconds between two checks of the folder's size
LOOKED = ".looked"  # a file whose modification time is that of the last check


class Kept(NamedTuple):
    """The contents of a folder of compiled programs."""

    folder: Path
    programs: int
    bytes: int


def keep_compiled(folder: str | Path | None = None) -> Path | None:
    """Make JAX cache every compiled program in a folder, by default the user's cache.

    Returns the folder, or None if it cannot be used. The command line does this for its own process; programs that use
    the package decide for themselves. Once a day the oldest programs beyond 1 GiB are removed.
    """
    chosen = cache_folder(COMPILED) if folder is None else Path(folder)
    if chosen is None:
        return None
    try:
        chosen.mkdir(parents=True, exist_ok=True)
        _prune(chosen)
    except OSError:  # no writable home: compile anew each time
        return None
    jax.config.update("jax_compilation_cache_dir", str(chosen))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    program_files.keep_in(chosen)
    return chosen


def kept(folder: Path) -> Kept:
    """Return the number and total size of the programs in a folder."""
    sizes = [size for _, size, _ in _files(folder)]
    return Kept(folder, len(sizes), sum(sizes))


def clear(folder: Path) -> Kept:
    """Remove all programs from a folder; return their number and total size."""
    removed = kept(folder)
    for _, _, file in _files(folder):
        file.unlink(missing_ok=True)
    return removed


def _prune(folder: Path, most: int = MOST_BYTES) -> None:
    """Remove the oldest programs beyond a total size, if the last check was at least a day ago."""
    mark = folder / LOOKED
    with contextlib.suppress(FileNotFoundError):
        if 0 <= time.time() - mark.stat().st_mtime < BETWEEN:
            return
    mark.touch()
    files = sorted(_files(folder))
    total = sum(size for _, size, _ in files)
    for _, size, file in files:
        if total <= most:
            return
        file.unlink(missing_ok=True)
        total -= size


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """Return modification time, size and path of each program."""
    files = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith("-cache") and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):  # another process is cleaning up
                    status = entry.stat(follow_symlinks=False)
                    files.append((status.st_mtime, status.st_size, Path(entry.path)))
    return files
