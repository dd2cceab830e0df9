"""Random keys that depend on a path's name, so that inserting a layer leaves every other layer's numbers alone."""

from __future__ import annotations

import zlib

import jax

SEED_LIMIT = 2**32  # jax.random.key keeps 32 bits: the seed 2**32 + 1 would silently be the seed 1


def fold_path(key: jax.Array, path: str) -> jax.Array:
    """Fold each segment of `path` into `key` by its CRC-32 (Python's own hash changes from process to process)."""
    for segment in path.split("/"):
        key = jax.random.fold_in(key, zlib.crc32(segment.encode()))
    return key
