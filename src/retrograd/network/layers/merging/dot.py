"""Scalar products of two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.reducing.lengths import Unit, unit, unit_back
from retrograd.network.layers.shared.axes import Axes, axes_of

EPS = 1e-12  # the smallest length to divide by


@layers.register(
    "dot",
    examples=examples(
        ({}, [(5, 4), (5, 4)]),
        ({"axes": [2, 1]}, [(1, 3, 2), (1, 2, 4)]),
        ({"axes": 1, "normalize": True}, [(2, 3, 2), (2, 3)]),
    ),
)
@dataclass(frozen=True)
class Dot(Layer):
    """Multiply two inputs along an axis and add up, for each example.

        y = sum(x1 x2)

    Shapes:  x1 [batch, a, n], x2 [batch, b, n] -> y [batch, a, b]; for vectors [batch, n]: y [batch, 1]
    Tape:    x1, x2 (of length 1 with `normalize`)
    Raises:  ShapeError if the axes differ in length, or are the batch axis.
    See:     Keras's Dot. cosine_similarity compares corresponding vectors, this layer all pairs.
    """

    axes: Annotated[Axes, Words("the axis to sum over, for both inputs, or [first, second]", why="the features")] = -1
    normalize: Annotated[
        bool, Words("whether vectors are first divided by their length: cosines", why="false: their lengths count")
    ] = False

    equations = Equations(
        forward="y = Σ x₁ x₂",
        backward=("dx₁ = Σ dy x₂ over the other axes of x₂", "dx₂ = Σ dy x₁ over the other axes of x₁"),
        latex_forward=r"y_{ab} = \textstyle\sum_n x_{1,an} x_{2,bn}",
        latex_backward=(
            r"\delta_{x_1,an} = \textstyle\sum_b \delta_{y_{ab}} x_{2,bn}",
            r"\delta_{x_2,bn} = \textstyle\sum_a \delta_{y_{ab}} x_{1,an}",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x1: Array, x2: Array) -> Forward:
        pair = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        if len(pair) != 2:
            raise ShapeError(f"expected one axis or two, found {list(pair)}", where="axes")
        (first,), (second,) = (axes_of(x, axis, "axes") for x, axis in zip((x1, x2), pair, strict=True))
        if x1.shape[first] != x2.shape[second] or len(x1) != len(x2):
            raise ShapeError(f"axis {pair[0]} of {tuple(x1.shape)} does not fit axis {pair[1]} of {tuple(x2.shape)}",
                             where="axes", cure="use equal batches, and two axes of equal length")  # fmt: skip
        pairs = ((x1, first), (x2, second))
        u, v = (unit(x, axis, EPS) if self.normalize else Unit(x, x, x) for x, axis in pairs)
        y = _summed(u.y, v.y, first, second)
        return Forward(y if y.ndim > 1 else y[:, None], (u, v, Static((first, second))))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        u, v, static = tape
        x1, x2 = u.y, v.y
        first, second = static.value
        rests = ([n for i, n in enumerate(x.shape) if i not in (0, axis)] for x, axis in ((x1, first), (x2, second)))
        dy = dy.reshape(len(dy), *(n for rest in rests for n in rest))
        places = x1.ndim - 1  # number of axes that y has in common with x1, including the batch
        dx1 = _spread(dy, x2, tuple(range(places, dy.ndim)), second, first)
        dx2 = _spread(dy, x1, tuple(range(1, places)), first, second)
        if self.normalize:
            dx1, dx2 = unit_back(u, dx1, first), unit_back(v, dx2, second)
        return Backward((dx1, dx2))


def _summed(x1: Array, x2: Array, first: int, second: int) -> Array:
    """Return the products summed over an axis of each, per example: [batch, the rest of x1, the rest of x2]."""
    rest1, rest2 = jnp.moveaxis(x1, first, -1), jnp.moveaxis(x2, second, -1)
    batch, length = x1.shape[0], x1.shape[first]
    product = rest1.reshape(batch, -1, length) @ rest2.reshape(batch, -1, length).swapaxes(1, 2)
    return product.reshape(batch, *rest1.shape[1:-1], *rest2.shape[1:-1])


def _spread(dy: Array, other: Array, summed: tuple[int, ...], axis: int, to: int) -> Array:
    """Return dy summed with `other` over its axes, and the summed axis restored at `to`."""
    batch, length = other.shape[0], other.shape[axis]
    last = [*(i for i in range(dy.ndim) if i not in summed), *summed]
    kept = tuple(dy.shape[i] for i in last[: dy.ndim - len(summed)])
    rest = jnp.moveaxis(other, axis, -1).reshape(batch, -1, length)
    total = dy.transpose(last).reshape(batch, -1, rest.shape[1]) @ rest
    return jnp.moveaxis(total.reshape(*kept, length), -1, to)
