"""Passes of arrays without elements: no rows give no rows, and an axis without elements is an error with its shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from retrograd.base.errors import RetrogradError, ShapeError
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, Spec, State, Static
from retrograd.network.losses.loss import Loss

PROBE = 7  # rows that stand for none while the shapes are worked out
TRIPPED = (ZeroDivisionError, ValueError, IndexError, TypeError)  # raised for shapes with a 0 in them


class Unread(NamedTuple):
    """The inputs that a batch without rows had: shape and dtype of each, None where there is no delta."""

    inputs: tuple[tuple[tuple[int, ...], Any] | None, ...]


def has_no_elements(tree: Any) -> bool:
    """Return whether any array of a tree is empty."""
    return any(0 in jnp.shape(leaf) for leaf in jax.tree.leaves(tree))


def forward_of_no_rows(
    layer: Layer, params: Params, state: State, ctx: Context, inputs: tuple[Any, ...]
) -> Forward | None:
    """Return what a layer gives for a batch without rows: empty outputs, its state as it was. None for other inputs."""
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
    """Return empty deltas, and gradients of 0, where the tape is that of a batch without rows."""
    if not (isinstance(tape, Static) and isinstance(tape.value, Unread)):
        return None
    deltas = tuple(None if spec is None else jnp.zeros(*spec) for spec in tape.value.inputs)
    return Backward(deltas, jax.tree.map(jnp.zeros_like, params))


@contextmanager
def explaining_empty_axes(*trees: Any) -> Iterator[None]:
    """Turn an error caused by an array without elements into a ShapeError with the shapes; other errors pass."""
    try:
        yield
    except RetrogradError:
        raise
    except TRIPPED as error:
        if not has_no_elements(trees):
            raise
        shapes = ", ".join(str(tuple(jnp.shape(leaf))) for leaf in jax.tree.leaves(trees[0]))
        raise ShapeError(f"an axis has no elements: the shapes are {shapes}", cure="give it some") from error
