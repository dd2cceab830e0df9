"""Random keys that depend on a path's name, so that inserting a layer leaves every other layer's numbers alone."""

from __future__ import annotations

import math
import zlib

import jax
import jax.numpy as jnp
from jax import lax

SEED_LIMIT = 2**32  # jax.random.key keeps 32 bits: the seed 2**32 + 1 would silently be the seed 1
OFF_ZERO = 0x9E3779B9  # mixing leaves 0 where it is; any other number would do


def fold_path(key: jax.Array, path: str) -> jax.Array:
    """Fold each segment of `path` into `key` by its CRC-32 (Python's own hash changes from process to process)."""
    for segment in path.split("/"):
        key = jax.random.fold_in(key, zlib.crc32(segment.encode()))
    return key


def random_bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Return 32 random bits for each place of an array: a hash of the place and the key, word by word.

    For masks, which need many bits and no cryptography: about ten times as fast on CPU as JAX's own generator. Whole
    numbers throughout, so the bits are the same under x64. See: the mixing function is C. Wellons's lowbias32.
    """
    bits = lax.iota(jnp.uint32, math.prod(shape)) + jnp.uint32(OFF_ZERO)
    for word in jax.random.key_data(key).reshape(-1):
        bits = _mixed(bits ^ word)
    drawn: jax.Array = bits.reshape(shape)
    return drawn


def _mixed(x: jax.Array) -> jax.Array:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> jnp.uint32(shift))) * jnp.uint32(factor)
    mixed: jax.Array = x ^ (x >> jnp.uint32(16))
    return mixed
