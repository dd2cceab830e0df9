"""Heads: columns of projections that attend side by side, by a native kernel if that is faster, else by the formula."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from retrograd.native.attention import Cut
from retrograd.network.layers.attention.rotary import Turn, rotate, turned
from retrograd.network.layers.attention.scaled_dot_product import (
    Attended,
    attend,
    attend_back,
    block_size,
    row_statistics,
)

WAVES = (np.cos, np.sin)
ROLES = ("query", "key", "value")
Columns = Mapping[str, Array]  # role -> [batch, time, heads x width]


class Packed(NamedTuple):
    """The tape of a native kernel: the weights are recomputed from two numbers per row."""

    sides: tuple[Array, ...]  # the projections of each source, roles side by side
    mask: Array | None  # [batch, keys]
    y: Array  # [batch, queries, units]
    statistics: Array  # [batch, heads, queries, 2]


class Heads(NamedTuple):
    """The number of heads, what they see, and the roles of each source."""

    number: int
    shared: int  # heads of keys and values, each shared by several query heads
    causal: bool
    rotary: bool
    sources: tuple[tuple[str, ...], ...]
    turn: Turn = Turn()
    scale: float | None = None  # of the products; default 1 / sqrt(width)
    softcap: float | None = None

    def attend(
        self, columns: Columns, allowed: Array | None, rate: float, key: Array | None, added: Array | None, read: bool
    ) -> Attended | Packed:
        """Let the heads attend (`scaled_dot_product.attend`); `read` means that the weights are an output."""
        columns = self._scaled(columns) if self.scale else columns
        query, value = columns["query"], columns["value"]
        in_kernel = allowed is None or allowed.shape[:-1] == (len(query), 1)
        of_one_width = query.shape[-1] * self.shared == value.shape[-1] * self.number
        usual = in_kernel and of_one_width and added is None and not (read or rate or self.softcap)
        kernel = self._kernel(query.shape[1])
        if usual and kernel.suits(*(columns[role] for role in ROLES)):
            sides = self._beside({role: self._turned(x, role) for role, x in columns.items()})
            mask = None if allowed is None else allowed[:, 0]
            return Packed(sides, mask, *kernel.attend(self._formula, sides, mask))
        q, k, v = self._apart(columns)
        if self.rotary:
            q, k = rotate(q, turn=self.turn), rotate(k, turn=self.turn)
        return attend(q, k, v, allowed, self.causal, rate, key, added, self.softcap)

    def step(
        self, columns: Columns, kept: tuple[Array, Array], start: Array, window: int | None
    ) -> tuple[Array, tuple[Array, Array]]:
        """Let tokens at positions from `start` on attend to themselves and earlier ones, by the formula.

        `kept` caches keys and values [batch, heads, positions, width]; it is returned with the new ones added.
        """
        q, k, v = self._apart(self._scaled(columns) if self.scale else columns)
        places, tokens = kept[0].shape[2], q.shape[3]
        if self.rotary:
            angle = self.turn.angles(np.arange(places), q.shape[-1])
            waves = [lax.dynamic_slice_in_dim(jnp.asarray(wave(angle), q.dtype), start, tokens) for wave in WAVES]
            q, k = turned(q, *waves), turned(k, *waves)
        keys, values = (
            lax.dynamic_update_slice_in_dim(old, new, start, 2) for old, new in zip(kept, (k, v), strict=True)
        )
        past = start + jnp.arange(tokens)[:, None] - jnp.arange(places)
        seen = past >= 0 if window is None else (past >= 0) & (past < window)
        return joined(attend(q, keys, values, seen[None], False, softcap=self.softcap).y), (keys, values)

    def back(
        self, tape: Attended | Packed, dy: Array, dweights: Array | None, rate: float
    ) -> tuple[Columns, Array | None]:
        """Return the deltas of the columns and, if the formula ran, of the scores."""
        if isinstance(tape, Packed):
            sides = self._kernel(dy.shape[1]).attend_back(self._formula_back, *tape, dy)
            deltas = {role: self._turned(x, role, back=True) for role, x in self._columns(sides).items()}
            return self._scaled(deltas) if self.scale else deltas, None
        dq, dk, dv, dscores = attend_back(tape, self.cut(dy, "query"), dweights, self.causal, rate)
        if self.rotary:
            dq, dk = rotate(dq, back=True, turn=self.turn), rotate(dk, back=True, turn=self.turn)
        whole = self._joined(dq, dk, dv)
        return self._scaled(whole) if self.scale else whole, dscores

    def _scaled(self, columns: Columns) -> Columns:
        """Scale queries, or their deltas, so that products divided by sqrt(width) have the configured scale."""
        width = columns["query"].shape[-1] // self.number
        return {**columns, "query": columns["query"] * ((self.scale or 1.0) * math.sqrt(width))}

    def cut(self, x: Array, role: str) -> Array:
        """Return [batch, time, units] as heads [batch, key-value heads, group, time, width]."""
        group = self._count(role) // self.shared
        apart = x.reshape(*x.shape[:2], self.shared, group, x.shape[-1] // self._count(role))
        heads: Array = lax.optimization_barrier(apart.transpose(0, 2, 3, 1, 4))
        return heads

    def _count(self, role: str) -> int:
        return self.number if role == "query" else self.shared

    def _apart(self, columns: Columns) -> tuple[Array, Array, Array]:
        q, k, v = (self.cut(columns[role], role) for role in ROLES)
        return q, k[:, :, 0], v[:, :, 0]

    def _joined(self, q: Array, k: Array, v: Array) -> Columns:
        return {"query": joined(q), "key": joined(k[:, :, None]), "value": joined(v[:, :, None])}

    def _turned(self, x: Array, role: str, back: bool = False) -> Array:
        """Return columns with their heads rotated by position, if configured."""
        if not self.rotary or role == "value":
            return x
        count = self._count(role)
        heads = x.reshape(*x.shape[:2], count, x.shape[-1] // count).swapaxes(1, 2)
        return rotate(heads, back, self.turn).swapaxes(1, 2).reshape(x.shape)

    def _beside(self, columns: Columns) -> tuple[Array, ...]:
        """Return the projections of each source as one array: XLA undoes the cut instead of copying."""
        return tuple(jnp.concatenate([columns[role] for role in roles], -1) for roles in self.sources)

    def _columns(self, sides: tuple[Array, ...]) -> Columns:
        """Undo `_beside`."""
        columns: dict[str, Array] = {}
        for side, roles in zip(sides, self.sources, strict=True):
            heads = [self._count(role) for role in roles]
            borders = [side.shape[-1] * sum(heads[:i]) // sum(heads) for i in range(1, len(heads))]
            columns |= dict(zip(roles, jnp.split(side, borders, -1), strict=True))
        return columns

    def _kernel(self, queries: int) -> Cut:
        return Cut(self.number, self.shared, block_size(queries, self.causal), self.causal)

    def _formula(self, mask: Array, *sides: Array) -> tuple[Array, Array]:
        """Compute the same as the kernel; an empty mask means no mask."""
        q, k, v = self._apart(self._columns(sides))
        allowed = mask[:, None] != 0 if mask.shape[1] else None
        y = joined(attend(q, k, v, allowed, self.causal).y)
        return y, row_statistics(q, k, allowed, self.causal).reshape(len(y), self.number, -1, 2)

    def _formula_back(self, mask: Array, y: Array, statistics: Array, dy: Array, *sides: Array) -> tuple[Array, ...]:
        """Compute the same as the backward kernel; the formula needs the weights, so it runs forward again."""
        q, k, v = self._apart(self._columns(sides))
        tape = attend(q, k, v, mask[:, None] != 0 if mask.shape[1] else None, self.causal)
        dq, dk, dv, _ = attend_back(tape, self.cut(dy, "query"), None, self.causal)
        return self._beside(self._joined(dq, dk, dv))


def joined(heads: Array) -> Array:
    """Return heads [batch, heads, group, time, width] side by side: [batch, time, units]."""
    batch, shared, group, time, width = heads.shape
    y: Array = lax.optimization_barrier(heads.transpose(0, 3, 1, 2, 4).reshape(batch, time, shared * group * width))
    return y


def attended_by(tape: Attended | Packed) -> Array:
    """Return the weighted means of values, heads side by side."""
    return tape.y if isinstance(tape, Packed) else joined(tape.y)


def weights_of(tape: Attended, of_each_head: bool) -> Array:
    """Return the weights of all blocks of queries as one array, per head or averaged over heads."""
    keys = tape.k.shape[2]
    blocks = [jnp.pad(a, [*[(0, 0)] * 4, (0, keys - a.shape[-1])]) for a in tape.weights]
    whole = jnp.concatenate(blocks, 3)
    return whole.reshape(len(whole), -1, *whole.shape[3:]) if of_each_head else whole.mean((1, 2))
