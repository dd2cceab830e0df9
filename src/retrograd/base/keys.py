"""Random keys derived from path names, so that inserting a layer leaves the numbers of other layers unchanged."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from retrograd.base.compilation.threefry import WRITTEN_OUT, folded, is_threefry

SEED_LIMIT = 2**32  # jax.random.key keeps 32 bits: the seed 2**32 + 1 would silently be the seed 1
OFF_ZERO = 0x9E3779B9  # mixing maps 0 to 0; any non-zero constant would do


def fold_path(key: jax.Array, path: str) -> jax.Array:
    """Fold the CRC-32 of each segment of `path` into `key` (Python's hash differs between processes)."""
    for segment in path.split("/"):
        key = jax.random.fold_in(key, zlib.crc32(segment.encode()))
    return key


def fold_paths(key: jax.Array, paths: Sequence[str]) -> jax.Array:
    """Return the keys of several paths [paths]: those of `fold_path`, computed in a way that compiles fast."""
    if isinstance(key, jax.core.Tracer) or not is_threefry(key):
        return jnp.stack([fold_path(key, path) for path in paths])
    words = np.repeat(np.asarray(jax.random.key_data(key))[None], len(paths), 0)
    numbers = [[zlib.crc32(segment.encode()) for segment in path.split("/")] for path in paths]
    for level in range(max(map(len, numbers))):
        deep = [i for i, folds in enumerate(numbers) if len(folds) > level]
        words[deep] = folded(words[deep], np.array([numbers[i][level] for i in deep], np.uint32))
    keys: jax.Array = jax.random.wrap_key_data(jnp.asarray(words), impl=WRITTEN_OUT)
    return keys


def random_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return 32 random bits per entry of an array: a hash of its position and the words of the key.

    For masks, which need many bits but no cryptography: about ten times as fast on CPU as JAX's generator. Only
    integers are involved, so the bits are the same under x64. See: C. Wellons's lowbias32, the mixing function.
    """
    bits = lax.iota(jnp.uint32, math.prod(shape)) + jnp.uint32(OFF_ZERO)
    for word in jax.random.key_data(key).reshape(-1):
        bits = _mixed(bits ^ word)
    array: jax.Array = bits.reshape(shape)
    return array


def _mixed(x: jax.Array) -> jax.Array:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> jnp.uint32(shift))) * jnp.uint32(factor)
    mixed: jax.Array = x ^ (x >> jnp.uint32(16))
    return mixed
