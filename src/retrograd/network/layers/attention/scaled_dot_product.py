"""Scaled dot-product attention and its adjoint: the part of an attention layer without parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from retrograd.network.layers.noise.dropout import apply_mask, draw_kept

MANY_QUERIES = 64  # from here on it pays to cut a causal product into blocks that skip future keys
BLOCKS = 4


class Attended(NamedTuple):
    """The tape of attention; `weights` and `kept` have one item per block of queries."""

    q: Array  # [batch, heads, group, queries, width], scaled
    k: Array  # [batch, heads, keys, width]
    v: Array  # [batch, heads, keys, value width]
    y: Array  # [batch, heads, group, queries, value width]
    weights: tuple[Array, ...]  # each [batch, heads, group, block, keys seen]
    kept: tuple[Array | None, ...]  # where dropout kept a weight
    bent: tuple[Array | None, ...] = ()  # the slope of a soft cap on the products; () without one


def attend(
    q: Array,
    k: Array,
    v: Array,
    allowed: Array | None,
    causal: bool,
    rate: float = 0.0,
    key: Array | None = None,
    added: Array | None = None,
    softcap: float | None = None,
) -> Attended:
    """Return y = softmax(q kᵀ / sqrt(width)) v and the tape.

    Queries of one `group` share a head of keys and values. `allowed` [batch, 1 or queries, keys], or [batch, heads,
    group, queries, keys], is true where a query may attend; `causal` lets query i see only keys 0..i. A query that
    sees no key gets zeros. With a `key`, each weight is dropped with probability `rate`. `softcap` bends the products
    to softcap tanh(product / softcap); then `added` [batch, 1 or heads, 1 or group, queries, keys] is added to them.
    The scale is applied to q, which is smaller than the scores; `optimization_barrier` keeps XLA from recomputing an
    exponential for each of its readers.
    """
    q = lax.optimization_barrier(q * (1 / q.shape[-1] ** 0.5))
    weights, kept, ys, bent = [], [], [], []
    for number, (start, stop, seen) in enumerate(_blocks(q.shape[3], k.shape[2], causal)):
        scores = _product(q[..., start:stop, :], k[:, :, :seen].swapaxes(-1, -2))
        if softcap is not None:
            share = jnp.tanh(scores / softcap)
            scores = softcap * share
            bent.append(1 - share * share)
        if added is not None:
            scores = scores + added[..., start:stop, :seen].astype(scores.dtype)
        a = softmax_where(scores, _visible(allowed, causal, start, stop, seen)).astype(q.dtype)
        keep = None if key is None else draw_kept(jax.random.fold_in(key, number), a.shape, rate)
        ys.append(_product(a if keep is None else apply_mask(a, keep, rate), v[:, :, :seen]).astype(q.dtype))
        weights.append(a)
        kept.append(keep)
    return Attended(q, k, v, jnp.concatenate(ys, 3), tuple(weights), tuple(kept), tuple(bent))


def attend_back(
    tape: Attended, dy: Array, dweights: Array | None, causal: bool, rate: float = 0.0
) -> tuple[Array, Array, Array, Array]:
    """da = dy vᵀ, ds = a (da - Σ dy y), dq = ds k / sqrt(width), dk = dsᵀ q, dv = aᵀ dy.

    The last result is ds [batch, heads, group, queries, keys]: the delta of `added`. `dweights` [batch, heads, group,
    queries, keys] is the delta of the weights themselves, if they were an output that was read.
    """
    q, k, v = tape.q, tape.k, tape.v
    inner = (wide(dy) * wide(tape.y)).sum(-1, keepdims=True)
    dq, dk, dv = [], jnp.zeros_like(wide(k)), jnp.zeros_like(wide(v))
    dscores = []
    blocks = list(_blocks(q.shape[3], k.shape[2], causal))
    slopes = tape.bent or (None,) * len(blocks)
    for (start, stop, seen), a, keep, slope in zip(blocks, tape.weights, tape.kept, slopes, strict=True):
        here = slice(start, stop)
        da = _product(dy[..., here, :], v[:, :, :seen].swapaxes(-1, -2))
        used = a
        if keep is not None:
            da, used = apply_mask(da, keep, rate), apply_mask(a, keep, rate)
        row = inner[..., here, :]
        if dweights is not None:
            read = wide(dweights[..., here, :seen])
            da, row = da + read, row + (wide(a) * read).sum(-1, keepdims=True)
        ds = lax.optimization_barrier((wide(a) * (da - row)).astype(q.dtype))
        dscores.append(jnp.pad(ds, [(0, 0)] * 4 + [(0, k.shape[2] - seen)]))
        ds = ds if slope is None else (wide(ds) * slope).astype(q.dtype)
        dq.append(_product(ds, k[:, :, :seen]))
        dk = dk.at[:, :, :seen].add(_transposed_product(ds, q[..., here, :]))
        dv = dv.at[:, :, :seen].add(_transposed_product(used, dy[..., here, :]))
    dq_scaled = jnp.concatenate(dq, 3) * (1 / q.shape[-1] ** 0.5)
    return dq_scaled.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype), jnp.concatenate(dscores, 3)


def softmax_where(scores: Array, visible: Array | None) -> Array:
    """Return the softmax along the last axis over the visible entries, 0 elsewhere and where none is visible."""
    if visible is None:
        e = lax.optimization_barrier(jnp.exp(scores - scores.max(-1, keepdims=True)))
        total = e.sum(-1, keepdims=True)
    else:
        scores = jnp.where(visible, scores, jnp.full_like(scores, -jnp.inf))
        top = scores.max(-1, keepdims=True)
        e = lax.optimization_barrier(jnp.exp(scores - jnp.where(jnp.isneginf(top), jnp.zeros_like(top), top)))
        total = e.sum(-1, keepdims=True)
        total = jnp.where(total == 0, jnp.ones_like(total), total)
    shares: Array = lax.optimization_barrier(e * (1 / total))
    return shares


def row_statistics(q: Array, k: Array, allowed: Array | None, causal: bool) -> Array:
    """Return the shift and the inverse sum of a softmax over scores, [batch, heads, group, queries, 2]."""
    q = q * (1 / q.shape[-1] ** 0.5)
    visible = _visible(allowed, causal, 0, q.shape[3], k.shape[2])
    scores = _product(q, k.swapaxes(-1, -2))
    scores = scores if visible is None else jnp.where(visible, scores, -jnp.inf)
    top = scores.max(-1)
    shift = top if visible is None else jnp.where(jnp.isneginf(top), 0, top)
    total = jnp.exp(scores - shift[..., None]).sum(-1)
    return jnp.stack([shift, 1 / jnp.where(total == 0, 1, total)], -1)


def block_size(queries: int, causal: bool) -> int:
    """Return the number of queries per product."""
    return -(-queries // (BLOCKS if causal and queries >= MANY_QUERIES else 1))


def _blocks(queries: int, keys: int, causal: bool) -> Iterator[tuple[int, int, int]]:
    """Yield the start and end of each block of queries, and the number of keys that it sees."""
    size = block_size(queries, causal)
    for start in range(0, queries, size):
        stop = min(start + size, queries)
        yield start, stop, min(stop, keys) if causal else keys


def _visible(allowed: Array | None, causal: bool, start: int, stop: int, seen: int) -> Array | None:
    """Return the mask of a block of queries, shaped like the scores; None if it sees everything."""
    past = jnp.arange(start, stop)[:, None] >= jnp.arange(seen) if causal else None
    if allowed is None:
        return None if past is None else past[None, None, None]
    rows = allowed[..., :seen] if allowed.shape[-2] == 1 else allowed[..., start:stop, :seen]
    rows = rows if past is None else rows & past[(None,) * (rows.ndim - 2)]
    return rows if rows.ndim == 5 else rows[:, None, None]


def _product(rows: Array, matrix: Array) -> Array:
    """Return [batch, heads, group, rows, n] times [batch, heads, n, m], the rows of a group as one matrix."""
    return _wide_product(_as_one(rows), matrix).reshape(*rows.shape[:-1], matrix.shape[-1])


def _transposed_product(rows: Array, others: Array) -> Array:
    """Return rowsᵀ others, summed over the group, by a plain product with a transpose in memory, XLA's fastest way."""
    turned = lax.optimization_barrier(_as_one(rows).swapaxes(-1, -2))
    return _wide_product(turned, _as_one(others))


def _as_one(rows: Array) -> Array:
    """Return the rows of a group as one matrix, also for an empty batch, where a length of -1 would be ambiguous."""
    batch, heads, group, count, width = rows.shape
    return rows.reshape(batch, heads, group * count, width)


def _wide_product(x: Array, matrix: Array) -> Array:
    """Return x times matrix; for bfloat16 the sums, and so the scores, are float32."""
    return jnp.matmul(x, matrix, preferred_element_type=jnp.float32 if x.dtype == jnp.bfloat16 else x.dtype)


def wide(x: Array) -> Array:
    """Return x in float32 if it is bfloat16."""
    return x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x
