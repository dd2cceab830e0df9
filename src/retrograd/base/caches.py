"""Where things are kept between commands: below the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path | None:
    """Return the folder of one kind of things in the user's cache; None where there is no home."""
    home = os.environ.get("HOME", "~")  # HOME= would make it /.cache
    cache = os.environ.get("XDG_CACHE_HOME") or (home and str(Path("~").expanduser() / ".cache"))
    return Path(cache) / "retrograd" / name if cache and Path(cache).is_absolute() else None
