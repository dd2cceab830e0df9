"""The product of a transposed matrix of many rows by a native kernel: the gradient of a dense layer's weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import Array

from retrograd.native.call import Kernel, Spec

PRODUCT = Kernel("transposed_product", (0, 0), (None,))
FEW_ROWS = 512
FEW_COLUMNS = 16  # of either matrix; fewer leave vectors idle
LARGE_PRODUCT = 2**18  # numbers; each thread holds sums for all of them, and XLA cuts so large a product well


def transposed_product_natively(formula: Callable[..., Array]) -> Callable[..., Array]:
    """Let a kernel compute xᵀ dy over all rows where it is faster than this formula(x, dy, dtype)."""

    @functools.wraps(formula)
    def product(x: Array, dy: Array, dtype: Any) -> Array:
        left, right = x.shape[-1], dy.shape[-1]
        fits = dtype == jnp.float32 and PRODUCT.suits(x, dy)
        if not (fits and faster(x.size // left, left, right)):
            return formula(x, dy, dtype)
        matrices = (each.reshape(-1, each.shape[-1]) for each in (x, dy))
        made: Array = PRODUCT(lambda x, dy: formula(x, dy, dtype), lambda *_: [Spec((left, right), dtype)], *matrices)
        return made

    return product


def faster(rows: int, left: int, right: int) -> bool:
    """Tell for which shapes the kernel is faster than XLA."""
    return rows >= FEW_ROWS and min(left, right) >= FEW_COLUMNS and left * right <= LARGE_PRODUCT
