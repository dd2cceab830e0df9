"""Selecting positions of an axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Integer
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
from retrograd.network.layers.shared.axes import Axes, axes_of


@layers.register(
    "take",
    examples=examples(({"at": 0}, [(2, 3, 4)]), ({"at": [-1, 0, -1], "axis": -1}, [(1, 2, 3)])),
)
@dataclass(frozen=True)
class Take(Layer):
    """Select one position of an axis, which is then dropped, or several in order: the first token, some features.

        y[i] = x[at[i]]

    Shapes:  x [batch, n, ...] -> y [batch, ...] for one position, [batch, len(at), ...] for a list
    Tape:    the shape of x
    Raises:  ShapeError if a position does not exist, or the axis is the batch axis.
    See:     PyTorch's select and index_select, ONNX's Gather. -1 is the last position.
    """

    at: Annotated[Axes, Words("which position of the axis, or a list of positions; -1 is the last")] = 0
    axis: Annotated[Integer, Words("the axis", why="1: the first after the batch, as tokens or steps")] = 1

    equations = Equations(
        forward="y = x at these positions of the axis",
        backward=("dx = dy summed where a position was taken, else 0",),
        latex_forward=r"y_i = x_{a_i}",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_{i: a_i = k} \delta_{y_i}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        (axis,) = axes_of(x, self.axis)
        return Forward(jnp.take(x, self._places(x.shape[axis]), axis), Static((x.shape, axis)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        shape, axis = tape.value
        first = (slice(None),) * axis
        return Backward((jnp.zeros(shape, dy.dtype).at[(*first, self._places(shape[axis]))].add(dy),))

    def _places(self, length: int) -> Any:
        places = jnp.asarray(self.at, jnp.int32)
        for place in (self.at,) if isinstance(self.at, int) else self.at:
            if not -length <= place < length:
                raise ShapeError(f"there is no position {place} on an axis of {length}", where="at")
        return jnp.where(places < 0, places + length, places)
