"""The user's cache folder, where commands keep files for later commands."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """Return the folder for one kind of file in the user's cache; None if there is no home folder."""
    home = os.environ.get("HOME", "~")  # HOME= would make it /.cache
    cache = os.environ.get("XDG_CACHE_HOME") or (home and str(Path("~").expanduser() / ".cache"))
    return Path(cache) / "retrograd" / name if cache and Path(cache).is_absolute() else None
