"""JAX's random number generator, Threefry-2x32 with 20 rounds, in cheaper forms that give the same bits.

On CPUs, JAX uses a loop for each draw, which XLA compiles more slowly than unrolled rounds.
See: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.extend.random import define_prng_impl

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def rounds(key: tuple[Any, Any], count: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return two random words from the two words of a key and of a counter: uint32 arrays of NumPy or JAX."""
    keys = (*key, key[0] ^ key[1] ^ np.uint32(PARITY))
    x, y = count[0] + keys[0], count[1] + keys[1]
    for i in range(5):
        for places in ROTATIONS[i % 2]:
            x = x + y
            y = x ^ ((y << np.uint32(places)) | (y >> np.uint32(32 - places)))
        x, y = x + keys[(i + 1) % 3], y + keys[(i + 2) % 3] + np.uint32(i + 1)
    return x, y


def folded(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the result of `jax.random.fold_in` for the words of keys [keys, 2] and one number per key."""
    words = rounds((keys[:, 0], keys[:, 1]), (np.zeros_like(numbers), numbers))
    return np.stack(words, 1)


def is_threefry(key: Array) -> bool:
    """Return whether a key belongs to JAX's Threefry generator in its default (partitionable) mode."""
    partitionable = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]
    return jax.random.key_impl(key) == "threefry2x32" and bool(partitionable)


def _random_bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    size = math.prod(shape)
    if width != 32 or size >= 2**32:
        return jax.random.bits(_as_jax(key), shape, jnp.dtype(f"uint{width}"))
    places = lax.iota(jnp.uint32, size)
    x, y = rounds((key[0], key[1]), (jnp.zeros_like(places), places))
    bits: Array = (x ^ y).reshape(shape)
    return bits


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return jax.random.key_data(jax.random.split(_as_jax(key), shape))


def _fold_in(key: Array, number: Any) -> Array:
    return jax.random.key_data(jax.random.fold_in(_as_jax(key), number))


def _seed(seed: Array) -> Array:
    return jax.random.key_data(jax.random.key(seed, impl="threefry2x32"))


def _as_jax(key: Array) -> Array:
    words: Array = jax.random.wrap_key_data(key, impl="threefry2x32")
    return words


WRITTEN_OUT = define_prng_impl(
    key_shape=(2,), seed=_seed, split=_split, random_bits=_random_bits, fold_in=_fold_in,
    name="threefry2x32_written_out", tag="fry_out",
)  # fmt: skip
