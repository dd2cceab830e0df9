"""Compiled programs kept between processes: only when asked, since the setting belongs to the whole process."""

from __future__ import annotations

import os
from pathlib import Path

import jax


def keep_compiled(folder: str | Path | None = None) -> Path | None:
    """Let JAX keep every compiled program in a folder, by default the user's cache; return it, or None if refused.

    The command line does this for its own process; a program that uses the package decides for itself.
    """
    home = os.environ.get("HOME", "~")  # HOME= would make it /.cache
    cache = os.environ.get("XDG_CACHE_HOME") or (home and str(Path("~").expanduser() / ".cache"))
    if folder is None and (not cache or not Path(cache).is_absolute()):
        return None
    chosen = Path(folder) if folder is not None else Path(cache) / "retrograd" / "compiled"
    try:
        chosen.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home to write to: compile anew each time
        return None
    jax.config.update("jax_compilation_cache_dir", str(chosen))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return chosen
