"""Shared parts of random augmentation layers: a seed of the layer's own, and random numbers per example."""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from jax import Array
from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.base.keys import SEED_LIMIT, fold_path
from retrograd.network.layer import Context

OwnSeed = Annotated[
    Annotated[int, Field(ge=0, lt=SEED_LIMIT)] | None,
    Expect("an integer from 0 to 4294967295, or null"),
    Words(
        "seed of the layer's random changes, independent of the run's seed",
        why="null: derived from the run's seed and the layer's name",
    ),
]


def own_key(ctx: Context, seed: int | None) -> Array:
    """Return the random key of this step for a layer, from the run or from the layer's own seed."""
    if seed is None:
        return ctx.random_key()
    key = fold_path(jax.random.key(seed), ctx.path) if ctx.path else jax.random.key(seed)
    return jax.random.fold_in(key, 0 if ctx.step is None else ctx.step)


def uniform(key: Array, x: Array, low: float, high: float) -> Array:
    """Return a random number between low and high for each example [batch], the same in any precision."""
    return jax.random.uniform(key, (x.shape[0],), jnp.float32, low, high).astype(x.dtype)


def whole(key: Array, x: Array, low: int, high: int) -> Array:
    """Return a random integer from low to high, inclusive, for each example [batch]."""
    return jax.random.randint(key, (x.shape[0],), low, high + 1, jnp.int32)


def per_example(numbers: Array, x: Array) -> Array:
    """Return numbers [batch] in the shape [batch, 1, ...] that multiplies x."""
    return numbers.reshape(-1, *(1 for _ in x.shape[1:]))


def expect_images(x: Array) -> None:
    """Raise unless x is [batch, height, width, channels] of real numbers."""
    if x.ndim != 4:
        cure = "put it where images enter the network, before `flatten`"
        raise ShapeError(f"expected images (batch, height, width, channels), got {tuple(x.shape)}", cure=cure)
    expect_reals(x)


def expect_reals(x: Array) -> None:
    """Raise unless x holds real numbers."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise DataTypeError(f"expected real numbers, got {x.dtype.name}", cure="put it after the embedding")
