"""Projections of one input, several side by side: queries, keys and values, or the output."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from retrograd.native.matrix import transposed_product
from retrograd.network.layer import Params, expect_features, product, rows
from retrograd.network.layers.attention.heads import Columns

FEEDS = {  # inputs that are attended to -> the projections that each of them feeds
    ("query",): (("query", "key", "value"),),
    ("query", "memory"): (("query",), ("key", "value")),
    ("query", "key", "value"): (("query",), ("key",), ("value",)),
}
UNNAMED = {len(names): names for names in FEEDS}  # roles of unnamed inputs, by their number


def project(params: Params, x: Array, names: tuple[str, ...]) -> dict[str, Array]:
    """Return x W + b for each of the named projections.

    They keep separate parameters with meaningful names; a single product over the weights side by side costs a copy
    of the weights, and reads x once.
    """
    weight = jnp.concatenate([params[f"{name}_weight"] for name in names], -1).astype(x.dtype)
    expect_features(x, weight.shape[0], f"{' and '.join(names)}: input")
    y = product(x, weight)
    if f"{names[0]}_bias" in params:
        y = y + jnp.concatenate([params[f"{name}_bias"] for name in names]).astype(x.dtype)
    return dict(zip(names, jnp.split(y, _borders(params, names), -1), strict=True))


def project_back(params: Params, x: Array, names: tuple[str, ...], deltas: Columns) -> tuple[Array, Params]:
    """dx = Σ dy Wᵀ, dW = xᵀ dy, db = the sum of dy over the rows: for all projections of one input at once."""
    weight = jnp.concatenate([params[f"{name}_weight"] for name in names], -1)
    dy = lax.optimization_barrier(jnp.concatenate([deltas[name] for name in names], -1))
    borders = _borders(params, names)
    weight_grads = jnp.split(transposed_product(x, dy, weight.dtype), borders, -1)
    grads = {f"{name}_weight": grad for name, grad in zip(names, weight_grads, strict=True)}
    if f"{names[0]}_bias" in params:
        sums = jnp.split(rows(dy).sum(0, dtype=weight.dtype), borders)
        grads |= {f"{name}_bias": grad for name, grad in zip(names, sums, strict=True)}
    return product(dy, weight.T.astype(dy.dtype)), grads


def _borders(params: Params, names: tuple[str, ...]) -> list[int]:
    """Return where to cut the results of several projections computed side by side."""
    widths = [params[f"{name}_weight"].shape[-1] for name in names]
    return [sum(widths[:i]) for i in range(1, len(widths))]
