"""The length of vectors, and the derivative of dividing by it."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array


class Unit(NamedTuple):
    """Vectors divided by max(length, eps), and the tape."""

    y: Array
    length: Array  # at least eps
    is_long: Array  # whether it exceeds eps


def unit(x: Array, axis: int | tuple[int, ...], eps: float, p: float = 2.0) -> Unit:
    """Return x / max(|x|, eps) along the axes, |x| the p-norm."""
    largest = jnp.max(jnp.abs(x), axis, keepdims=True)
    safe = jnp.where(largest > 0, largest, jnp.ones_like(largest))  # so that no power overflows
    length = safe * jnp.sum((jnp.abs(x) / safe) ** p, axis, keepdims=True) ** (1 / p)
    length = jnp.where(largest > 0, length, jnp.zeros_like(length))
    bounded = jnp.maximum(length, eps)
    return Unit(x / bounded, bounded, length > eps)


def unit_back(of: Unit, dy: Array, axis: int | tuple[int, ...], p: float = 2.0) -> Array:
    """Return dx = (dy - |y|^(p-1) sign(y) sum of dy y) / |x|; dy / eps where the length is below eps."""
    along = jnp.sum(dy * of.y, axis, keepdims=True)
    turned = of.y if p == 2 else jnp.sign(of.y) * jnp.abs(of.y) ** (p - 1)
    return (dy - jnp.where(of.is_long, turned * along, jnp.zeros_like(dy))) / of.length
