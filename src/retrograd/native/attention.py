"""Attention by native kernels, directly on the projections: the weights, queries x keys, are never stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from retrograd.native.call import Kernel, Spec

Sides = tuple[Array, ...]
FEW_NUMBERS = 16  # per head; with fewer, vector lanes are idle and XLA is as fast


class Cut(NamedTuple):
    """How columns are cut into heads, and what the heads see."""

    heads: int
    shared: int  # heads of keys and values
    block: int  # queries that see the same keys in the formula, with weight 0 for keys in their future
    causal: bool

    def suits(self, query: Array, key: Array, value: Array) -> bool:
        """Return whether the kernels can take these columns [batch, time, heads x width] and are faster."""
        batch, queries, units = query.shape
        return _forward(3).suits(query, key, value) and faster(batch * self.shared, queries, units // self.heads)

    def attend(self, formula: Callable[..., Any], sides: Sides, mask: Array | None) -> tuple[Array, Array]:
        """Return y [batch, queries, heads x width] and two numbers for each row of weights [batch, heads, queries, 2].

        `sides` hold the projections [batch, time, columns]: queries, keys and values side by side; queries | keys and
        values; or each alone. `mask` [batch, keys] is true where to attend. `formula(mask, *sides)` does the same in
        XLA; its mask holds numbers, and is empty if there is no mask.
        """

        def specs(_: Array, queries: Array, *others: Array) -> list[Spec]:
            batch, time = queries.shape[:2]
            units = queries.shape[-1]
            if not others:  # keys and values follow the queries
                units = units * self.heads // (self.heads + 2 * self.shared)
            return [Spec((batch, time, units), queries.dtype), Spec((batch, self.heads, time, 2), queries.dtype)]

        y, statistics = _forward(len(sides))(formula, specs, _numbers(mask, sides), *sides, cut=self._numbers())
        return y, statistics

    def attend_back(
        self, formula: Callable[..., Any], sides: Sides, mask: Array | None, y: Array, statistics: Array, dy: Array
    ) -> Sides:
        """Return the deltas of the sides. `formula(mask, y, statistics, dy, *sides)` does the same in XLA."""

        def specs(*arrays: Array) -> list[Spec]:
            return [Spec(side.shape, side.dtype) for side in arrays[4:]]

        arrays = (_numbers(mask, sides), y, statistics, dy, *sides)
        deltas = _back(len(sides))(_single(formula), specs, *arrays, cut=self._numbers())
        return tuple(deltas) if len(sides) > 1 else (deltas,)

    def _numbers(self) -> np.ndarray:
        return np.array([self.heads, self.shared, self.block, self.causal], np.int64)


def faster(tasks: int, queries: int, width: int) -> bool:
    """Return whether the kernels are faster than XLA; a thread's task is one head of keys of one example."""
    return width >= FEW_NUMBERS and queries > 1 and 2 * tasks >= (os.cpu_count() or 1)


def _forward(sides: int) -> Kernel:
    return Kernel("attend", (0,) * (1 + sides), (0, 0))


def _back(sides: int) -> Kernel:
    return Kernel("attend_back", (0,) * (4 + sides), (0,) * sides)


def _numbers(mask: Array | None, sides: Sides) -> Array:
    """Return the mask as numbers, with no columns if there is no mask."""
    dtype = sides[0].dtype
    return jnp.zeros((len(sides[0]), 0), dtype) if mask is None else mask.astype(dtype)


def _single(formula: Callable[..., Sequence[Array]]) -> Callable[..., Any]:
    """Return the formula with a single result not wrapped in a tuple, like a kernel's."""

    def called(*arrays: Array) -> Any:
        results = formula(*arrays)
        return results if len(results) > 1 else results[0]

    return called
