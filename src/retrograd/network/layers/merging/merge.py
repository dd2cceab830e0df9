"""The base of elementwise merges, whose inputs have one shape or are broadcast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.schema import unwritten
from retrograd.network.layer import Backward, Context, Forward, Layer, Params, Spec, State, Static


@dataclass(frozen=True)
class Merge(Layer):
    """Base of the elementwise merges: a subclass defines `value` and, below it, `deltas`.

    Inputs have one shape, unless `broadcast` repeats axes of length 1, and axes missing after the batch.

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    the tape of `deltas`, the shapes of the inputs
    Raises:  ShapeError if the shapes differ.
    """

    broadcast: Annotated[
        bool,
        Words(
            "whether to repeat axes of length 1, and axes missing after the batch",
            why="false: different shapes are usually a mistake",
        ),
    ] = False

    def value(self, *inputs: Array) -> tuple[Array, Any]:
        """Return y, and the tape for `deltas`."""
        raise unwritten(self, "value(self, *inputs)", "which returns (y, what deltas needs)")

    def deltas(self, kept: Any, dy: Array, count: int) -> tuple[Array, ...]:
        """Return the delta of each of `count` inputs, in the shape of y."""
        raise unwritten(self, "deltas(self, kept, dy, count)")

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        shapes = tuple(tuple(x.shape) for x in inputs)
        if self.broadcast:
            aligned = align(shapes)
            inputs = tuple(x.reshape(shape) for x, shape in zip(inputs, aligned, strict=True))
        else:
            expect_same_shapes(inputs)
        y, kept = self.value(*inputs)
        return Forward(y, (kept, Static(shapes)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        kept, static = tape
        deltas = self.deltas(kept, dy, len(static.value))
        if not self.broadcast:
            return Backward(deltas)
        pairs = zip(deltas, static.value, align(static.value), strict=True)
        return Backward(tuple(gather(delta, aligned).reshape(shape) for delta, shape, aligned in pairs))


def align(shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes with axes of length 1 inserted after the batch until all have the same number of axes.

    A gate [batch, channels] multiplies an image [batch, height, width, channels] as [batch, 1, 1, channels]. Raises
    ShapeError unless the shapes can be broadcast.
    """
    axes = max(map(len, shapes))
    aligned = tuple((*s[:1], *(1,) * (axes - len(s)), *s[1:]) for s in shapes)
    fitting = all(len(set(lengths) - {1}) <= 1 for lengths in zip(*aligned, strict=True))
    if min(map(len, shapes)) < 1 or len({s[0] for s in shapes}) > 1 or not fitting:
        raise ShapeError(
            f"{' and '.join(map(str, shapes))} cannot be broadcast",
            cure="use equal batches, and axes of equal length or of length 1",
        )
    return aligned


def gather(delta: Array, shape: tuple[int, ...]) -> Array:
    """Return a delta summed over the axes along which an input of this shape was repeated: the adjoint of repeating."""
    repeated = tuple(i for i, (n, m) in enumerate(zip(delta.shape, shape, strict=True)) if n != m)
    return jnp.sum(delta, repeated, keepdims=True) if repeated else delta


def expect_same_shapes(inputs: tuple[Array | Spec, ...]) -> None:
    """Raise ShapeError unless all inputs of a merge have one shape."""
    shapes = [tuple(x.shape) for x in inputs]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"expected inputs of equal shape, got {' and '.join(map(str, shapes))}",
            cure="change the units of the previous layer, or give a residual block a `shortcut`",
        )
