"""Sums over all alignments of labels with steps, in logarithms: forward (alpha) and backward (beta).

The states of an alignment are the start, the labels, and a blank before, between and after them. At each step it
stays, advances by one, or skips the blank between two different labels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax

IMPOSSIBLE = -1e30  # the logarithm of 0; finite, so that sums of several stay finite
START = 0


class Path(NamedTuple):
    """The states in order: their classes, whether a skip may reach them, and whether a path may end there."""

    classes: Array  # [batch, states]
    skip: Array  # [batch, states], 0 or IMPOSSIBLE
    ends: Array  # [batch, states], 0 or IMPOSSIBLE


def expand(labels: Array, counts: Array, blank: int) -> Path:
    """Return the states for labels [batch, length]; blanks among the labels are moved to the end, never reached."""
    order = jnp.argsort(labels == blank, axis=-1, stable=True)
    labels = jnp.take_along_axis(labels, order, -1)
    blanks = jnp.full_like(labels, blank)
    paired = jnp.stack([blanks, labels], -1).reshape(len(labels), -1)
    classes = jnp.concatenate([jnp.full_like(paired[:, :1], blank), paired, jnp.full_like(paired[:, :1], blank)], -1)
    index = jnp.arange(classes.shape[1], dtype=counts.dtype)[None]
    differs = classes != jnp.roll(classes, 2, -1)
    skips = (index % 2 == 0) & (index > START) & (differs | (index == 2))
    last = (2 * counts + 1)[:, None]
    ends = (index == last) | (index == last - 1)
    return Path(classes, *(jnp.where(allowed, 0.0, IMPOSSIBLE) for allowed in (skips, ends)))


def alignments_forward(log_p: Array, path: Path, there: Array) -> tuple[Array, Array]:
    """Return alpha [time, batch, states], the log probability of all paths to each state, and that of all full paths.

    alpha(t, s) = p(t, s) (alpha(t-1, s) + alpha(t-1, s-1) + alpha(t-1, s-2) if a skip may reach s)
    """
    skip = path.skip.astype(log_p.dtype)

    def step(alpha: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        emitted, is_there = now
        moved = _log_sum(alpha, _shifted(alpha, 1), _shifted(alpha, 2) + skip) + emitted
        alpha = jnp.where(is_there[:, None], moved, alpha)
        return alpha, alpha

    begin = jnp.full(skip.shape, IMPOSSIBLE, log_p.dtype).at[:, START].set(0)
    final, alpha = lax.scan(step, begin, (_emissions(log_p, path), there.T))
    ended = final + path.ends.astype(log_p.dtype)
    top = ended.max(-1)
    return alpha, top + jnp.log(jnp.exp(ended - top[:, None]).sum(-1))


def alignments_back(log_p: Array, path: Path, there: Array, alpha: Array, log_total: Array) -> Array:
    """Return the share of all alignments that pass through each class at each step [batch, time, classes].

    beta(t, s) = the sum over the moves from s to s' of beta(t+1, s') p(t+1, s'),  share = alpha beta / total
    """
    skip = path.skip.astype(log_p.dtype)

    def step(beta: Array, now: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        emitted, is_there, alpha = now
        share = jnp.exp(jnp.minimum(alpha + beta - log_total[:, None], 0))
        onward = beta + emitted
        moved = _log_sum(onward, _shifted(onward, -1), _shifted(onward + skip, -2))
        return jnp.where(is_there[:, None], moved, beta), share

    begin = path.ends.astype(log_p.dtype)
    _, shares = lax.scan(step, begin, (_emissions(log_p, path), there.T, alpha), reverse=True)
    hits = path.classes[..., None] == jnp.arange(log_p.shape[-1], dtype=path.classes.dtype)[None, None]
    return jnp.einsum("tbs,bsk->btk", shares, hits.astype(log_p.dtype))


def _emissions(log_p: Array, path: Path) -> Array:
    """Return the log probability of each state's class at each step [time, batch, states]; the start has none."""
    emissions = jnp.take_along_axis(log_p, path.classes[:, None, :], -1, mode="clip")
    return emissions.at[..., START].set(IMPOSSIBLE).swapaxes(0, 1)


def _shifted(values: Array, by: int) -> Array:
    """Move values to later (or earlier) states, filling with IMPOSSIBLE."""
    states = values.shape[-1]
    padded = jnp.pad(values, ((0, 0), (max(by, 0), max(-by, 0))), constant_values=IMPOSSIBLE)
    return padded[:, :states] if by > 0 else padded[:, -states:]


def _log_sum(*values: Array) -> Array:
    top = jnp.maximum(jnp.maximum(values[0], values[1]), values[2])
    return top + jnp.log(sum(jnp.exp(value - top) for value in values))
