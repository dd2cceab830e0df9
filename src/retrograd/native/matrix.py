"""xᵀ dy over many rows, the gradient of a dense layer's weights, by a native kernel or XLA, whichever is faster."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array, lax

from retrograd.native.call import Kernel, Spec

PRODUCT = Kernel("transposed_product", (0, 0), (None,))
FEW_ROWS = 512
FEW_COLUMNS = 16  # of either matrix; with fewer, vector lanes are idle
LARGE_PRODUCT = 2**18  # numbers; each thread holds sums for all of them, and XLA splits larger products well
MANY_ROWS = 512  # from here on, a product with a materialised transpose is up to 1.9 times faster


def transposed_product(x: Array, dy: Array, dtype: Any) -> Array:
    """Return xᵀ dy over all rows of [..., columns], in this precision."""
    x, dy = _rows(x), _rows(dy)
    rows, left, right = *x.shape, dy.shape[-1]
    if not (dtype == jnp.float32 and PRODUCT.suits(x, dy) and faster(rows, left, right)):
        return transposed_product_by_xla(x, dy, dtype)
    result: Array = PRODUCT(
        lambda x, dy: transposed_product_by_xla(x, dy, dtype), lambda *_: [Spec((left, right), dtype)], x, dy
    )
    return result


def transposed_product_by_xla(x: Array, dy: Array, dtype: Any) -> Array:
    """Return xᵀ dy over all rows of [..., columns], in this precision.

    With many rows the narrower factor is transposed in memory: XLA's product of a transposed array is slower.
    """
    x, dy = _rows(x), _rows(dy)
    if len(x) < MANY_ROWS:
        return jnp.matmul(x.T, dy, preferred_element_type=dtype)
    if dy.shape[-1] < x.shape[-1]:
        transposed = jnp.matmul(lax.optimization_barrier(dy.T), x, preferred_element_type=dtype)
        product: Array = lax.optimization_barrier(transposed).T
        return product
    return jnp.matmul(lax.optimization_barrier(x.T), dy, preferred_element_type=dtype)


def _rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def faster(rows: int, left: int, right: int) -> bool:
    """Return whether the kernel is faster than XLA for these shapes."""
    return rows >= FEW_ROWS and min(left, right) >= FEW_COLUMNS and left * right <= LARGE_PRODUCT
