"""The inputs by name, the keys visible to queries, and the terms added to scores, shaped like the heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.base.sentence import entry_setting
from retrograd.network.layers.attention.projections import UNNAMED

NAMED = "name a mask and scores, as in " + entry_setting("inputs", "{query: x, mask: seen}")


def by_name(reads: Sequence[str], inputs: Sequence[Any]) -> dict[str, Any]:
    """Return the inputs by the names in `reads`, or by the default names for their number.

    Raises:  ShapeError if their number, or a dtype, does not fit.
    """
    names = reads or UNNAMED.get(len(inputs), ())
    if len(names) != len(inputs):
        expected = f"expected {', '.join(names)}" if names else "expected one to three without names"
        raise ShapeError(f"{expected}; got {len(inputs)} inputs", where="inputs", cure=NAMED)
    for name, value in zip(names, inputs, strict=True):
        if (value.dtype == jnp.bool_) != (name == "mask"):
            kind = "true or false" if name == "mask" else "real numbers"
            raise ShapeError(f"{name}: expected {kind}, got {value.dtype.name}{list(value.shape)}", cure=NAMED)
    return dict(zip(names, inputs, strict=True))


def beside_scores(added: Array, sources: tuple[Array, ...], heads: tuple[int, int]) -> Array:
    """Return the terms added to the scores as [batch, 1 or shared heads, 1 or group, queries, keys].

    heads: the number of query heads, and of heads of keys and values.
    """
    number, shared = heads
    batch, queries, keys = *sources[0].shape[:2], sources[-1].shape[1]
    if added.shape not in ((batch, queries, keys), (batch, number, queries, keys)):
        raise ShapeError(
            f"expected {(batch, queries, keys)} or {(batch, number, queries, keys)}, got {tuple(added.shape)}",
            where="scores",
        )
    return added.reshape(batch, shared if added.ndim == 4 else 1, -1, queries, keys)


def allowed_keys(
    named: tuple[tuple[str, Array], ...], mask: Array | None, heads: tuple[int, int], window: int | None
) -> Array | None:
    """Return the mask as [batch, 1 or queries, keys], or per head [batch, shared heads, group, queries, keys].

    Raises:  ShapeError if the inputs or the mask do not fit.
    """
    for name, source in named:
        if source.ndim != 3:
            raise ShapeError(f"{name}: expected (batch, time, features), got {tuple(source.shape)}", cure=NAMED)
    sources = [source for _, source in named]
    batch, queries, keys = *sources[0].shape[:2], sources[-1].shape[1]
    if any((len(source), source.shape[1]) != (batch, keys) for source in sources[1:]):
        shapes = ", ".join(f"{name} {tuple(source.shape)}" for name, source in named)
        raise ShapeError(f"expected equal numbers of keys and values, and equal batches, got {shapes}")
    near = None if window is None else jnp.abs(jnp.arange(queries)[:, None] - jnp.arange(keys)) < window
    if mask is None:
        return None if near is None else near[None]
    fitting = ((batch, keys), (batch, queries, keys), (batch, heads[0], queries, keys))
    if mask.shape not in fitting:
        raise ShapeError(f"mask: expected {' or '.join(map(str, fitting))}, got {tuple(mask.shape)}")
    mask = mask.reshape((batch, heads[1], -1, queries, keys) if mask.ndim == 4 else (batch, -1, keys))
    return mask if near is None else mask & near[(None,) * (mask.ndim - 2)]
