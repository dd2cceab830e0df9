"""What the command line sets for its own process: JAX's compilation cache, and the allocator."""

from __future__ import annotations

import os
from pathlib import Path

import jax
import numpy as np

from retrograd.base import allocator
from retrograd.train.run import Prepared


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
    size = prepared.config.training.batch_size
    rows = prepared.dataset.rows["train"] if size == "all" else int(size)
    specs = prepared.network.specs({name: column[:1] for name, column in prepared.dataset.train.items()})
    outputs = sum(int(np.prod(leaf.shape)) * leaf.dtype.itemsize for leaf in jax.tree.leaves(specs))
    return 2 * rows * outputs
