"""What the command line sets for its own process: JAX's compilation cache, and the allocator."""

from __future__ import annotations

import os
from pathlib import Path

import jax

from retrograd.base import allocator
from retrograd.train.prepare import Prepared
from retrograd.train.room import nbytes


def settle() -> None:
    """Keep compiled programs in the user's cache folder, and freed memory in the process."""
    allocator.tune()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retrograd" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # no home to write to: compile anew each time
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def step_bytes(prepared: Prepared) -> int:
    """Return about how many bytes of outputs and deltas a training step holds at once."""
    specs = prepared.network.specs({name: column[:1] for name, column in prepared.dataset.train.items()})
    return 2 * prepared.batch_size * nbytes(specs)
