"""Distances between embeddings, shared by several losses: the distance of two rows and its derivative."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import ShapeError
from retrograd.network.layers.reducing.lengths import unit, unit_back
from retrograd.network.losses.loss import computing_dtype

EPS = 1e-6  # added to each difference, as in PyTorch, so that the distance of equal rows has a derivative
SHORTEST = 1e-6  # the smallest length to divide by


def distance(a: Array, b: Array) -> tuple[Array, Array]:
    """Return |a - b + eps| of each row [batch], and the unit vector of that difference [batch, features]."""
    difference = a - b + EPS
    length = jnp.sqrt(jnp.sum(difference * difference, -1))
    return length, difference / length[:, None]


def read_embeddings(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return embeddings in the dtype of the computation; raise ShapeError unless all are [batch, features]."""
    if any(embedding.ndim != 2 or embedding.shape != inputs[0].shape for embedding in inputs):
        shapes = ", ".join(str(tuple(embedding.shape)) for embedding in inputs)
        raise ShapeError(f"expected embeddings of equal shape (batch, features), got {shapes}",
                         cure="compare outputs of layers with equal units")  # fmt: skip
    dtype: Any = computing_dtype(inputs[0])
    return tuple(embedding.astype(dtype) for embedding in inputs)


def cosine(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the cosine of the angle between two rows [batch], and its derivatives by a and by b."""
    u, v = unit(a, -1, SHORTEST), unit(b, -1, SHORTEST)
    return jnp.sum(u.y * v.y, -1), unit_back(u, v.y, -1), unit_back(v, u.y, -1)


def read_pair(inputs: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return two embeddings and the label [batch] of each pair, in the dtype of the computation."""
    a, b = read_embeddings(inputs[:2])
    label = inputs[2]
    if label.size != len(a) or label.shape[:1] != a.shape[:1]:
        raise ShapeError(f"expected one label per pair {a.shape[:1]}, got {tuple(label.shape)}")
    return a, b, label.reshape(-1).astype(a.dtype)
