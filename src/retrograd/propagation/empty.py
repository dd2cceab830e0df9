"""Passes over empty arrays: a batch without rows gives no rows; any other empty axis is an error naming the shapes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from retrograd.base.errors import RetrogradError, ShapeError
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, Spec, State, Static
from retrograd.network.losses.loss import Loss

PROBE = 7  # number of rows used in place of 0 to work out the shapes
TRIPPED = (ZeroDivisionError, ValueError, IndexError, TypeError)  # may be raised for shapes that contain a 0


class Unread(NamedTuple):
    """The inputs of a batch without rows: shape and dtype of each, None for an input without a delta."""

    inputs: tuple[tuple[tuple[int, ...], Any] | None, ...]


def has_no_elements(tree: Any) -> bool:
    """Return whether any array in a tree is empty."""
    return any(0 in jnp.shape(leaf) for leaf in jax.tree.leaves(tree))


def forward_of_no_rows(
    layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]
) -> Forward | None:
    """Return a layer's result for a batch without rows: empty outputs, unchanged state. None for other inputs."""
    if isinstance(layer, Loss) or not inputs or any(jnp.shape(x)[:1] != (0,) for x in inputs):
        return None
    specs = [Spec((PROBE, *x.shape[1:]), x.dtype) for x in inputs]
    if has_no_elements(specs):
        return None
    outputs = jax.eval_shape(lambda *rows: layer.forward(params, state, ctx, *rows).y, *specs)

    def without_rows(spec: Any) -> Any:
        return jnp.zeros((0, *spec.shape[1:]) if spec.shape[:1] == (PROBE,) else spec.shape, spec.dtype)

    unread = tuple((x.shape, x.dtype) if jnp.issubdtype(x.dtype, jnp.inexact) else None for x in inputs)
    return Forward(jax.tree.map(without_rows, outputs), Static(Unread(unread)), state)


def backward_of_no_rows(params: Params, tape: Any) -> Backward | None:
    """Return empty deltas and zero gradients for the tape of a batch without rows; None for other tapes."""
    if not (isinstance(tape, Static) and isinstance(tape.value, Unread)):
        return None
    deltas = tuple(None if spec is None else jnp.zeros(*spec) for spec in tape.value.inputs)
    return Backward(deltas, jax.tree.map(jnp.zeros_like, params))


@contextmanager
def explaining_empty_axes(*trees: Any) -> Iterator[None]:
    """Turn an error caused by an empty array into a ShapeError with the shapes; other errors pass through."""
    try:
        yield
    except RetrogradError:
        raise
    except TRIPPED as error:
        if not has_no_elements(trees):
            raise
        shapes = ", ".join(str(tuple(jnp.shape(leaf))) for leaf in jax.tree.leaves(trees[0]))
        raise ShapeError(f"an axis has no elements: the shapes are {shapes}", cure="use non-empty inputs") from error
