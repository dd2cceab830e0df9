"""The arithmetic of boxes shared by several layers."""

from __future__ import annotations

import math

import jax.numpy as jnp
from jax import Array

from retrograd.base.errors import DataTypeError, ShapeError

LEAST_SIDE = 1e-6  # smallest side, as a share of the image, in divisions and logarithms
MOST_STRETCH = math.log(1000 / 16)  # largest log-stretch of a side, as in Detectron: exp of a large logit overflows


def expect_boxes(*boxes: Array) -> None:
    """Raise ShapeError unless these are boxes [batch, n, 4] of one batch."""
    if any(array.ndim != 3 or array.shape[-1] != 4 or len(array) != len(boxes[0]) for array in boxes):
        shapes = ", ".join(str(tuple(array.shape)) for array in boxes)
        raise ShapeError(f"expected boxes (batch, boxes, 4), got {shapes}", cure="put reshape: [-1, 4] before it")


def expect_truth(truth: Array, labels: Array) -> Array:
    """Return the class numbers of true boxes as [batch, objects], or raise ShapeError if their number differs."""
    expect_boxes(truth)
    if labels.ndim < 2 or labels.size != truth.size // 4:
        raise ShapeError(f"expected a class number for each of {truth.shape[1]} true boxes, got {tuple(labels.shape)}")
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise DataTypeError(
            f"class numbers must be integers, found {labels.dtype.name}", cure="read the column cell_class"
        )
    return labels.reshape(truth.shape[:2])


def overlaps(boxes: Array, others: Array) -> Array:
    """Return the intersection over union of all pairs of boxes: [..., n, 4], [..., m, 4] -> [..., n, m]."""
    boxes, others = boxes[..., :, None, :], others[..., None, :, :]
    low, high = jnp.maximum(boxes[..., :2], others[..., :2]), jnp.minimum(boxes[..., 2:], others[..., 2:])
    shared = jnp.prod(jnp.maximum(high - low, 0), -1)
    union = _areas(boxes) + _areas(others) - shared
    return shared / jnp.maximum(union, LEAST_SIDE**2)


def shifts_between(boxes: Array, targets: Array) -> Array:
    """Return the shifts that move boxes onto their targets [..., 4]: (c' - c) / w and log(w' / w) for both axes."""
    middle, side = _middles_and_sides(boxes)
    aim, length = _middles_and_sides(targets)
    side, length = jnp.maximum(side, LEAST_SIDE), jnp.maximum(length, LEAST_SIDE)
    return jnp.concatenate([(aim - middle) / side, jnp.log(length / side)], -1)


def shifted(boxes: Array, shifts: Array) -> Array:
    """Return boxes moved by shifts (tx, ty, tw, th): c' = c + t w, w' = w exp(t)."""
    middle, side = _middles_and_sides(boxes)
    aim = middle + shifts[..., :2] * side
    half = side * jnp.exp(jnp.minimum(shifts[..., 2:], MOST_STRETCH)) / 2
    return jnp.concatenate([aim - half, aim + half], -1)


def _middles_and_sides(boxes: Array) -> tuple[Array, Array]:
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, high - low


def _areas(boxes: Array) -> Array:
    return jnp.prod(boxes[..., 2:] - boxes[..., :2], -1)
