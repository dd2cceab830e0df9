"""Collecting sliding windows into rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
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
from retrograd.network.layers.shared.window import Lengths, Padding, Window, expect_axes, fold, place_window, views


@layers.register(
    "unfold",
    examples=examples(
        ({"kernel": 2}, [(2, 3, 4, 2)]),
        ({"kernel": [3], "stride": 2, "padding": 1}, [(1, 5, 2)]),
        ({"kernel": [1, 2], "dilation": 2, "padding": "same"}, [(1, 2, 3, 1)]),
    ),
)
@dataclass(frozen=True)
class Unfold(Layer):
    """Collect the values of each window in one row of channels: patches, as for a vision transformer.

        y[i] = [x[stride i + dilation p] for every p]

    Shapes:  x [batch, *positions, channels] -> y [batch, *windows, kernel positions · channels], positions row by row
    Tape:    the shape of x
    Raises:  ShapeError if the kernel is larger than the padded input.
    See:     PyTorch's Unfold, which has the channels before the positions, and all windows along one axis.
    """

    kernel: Annotated[
        Lengths, Words("positions that one window sees, along each axis", more="longer rows", less="shorter rows")
    ]
    stride: Annotated[
        Lengths,
        Words("positions from one window to the next", more="fewer windows", less="more windows", why="1: each"),
    ] = 1
    padding: Annotated[Padding, Words("zeros added at each border", more="more windows", less="fewer windows")] = 0
    dilation: Annotated[
        Lengths, Words("distance between the positions of a window", more="sees further", less="sees neighbours")
    ] = 1

    equations = Equations(
        forward="y = what each window sees of x, side by side",
        backward=("dx = dy summed over the windows that see x",),
        latex_forward=r"y_{i,p} = x_{si + dp}",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_{si + dp = k} \delta_{y_{i,p}}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(jnp.concatenate(views(x, self._window(expect_axes(x, 1, 2, 3))), -1), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        window = self._window(tape.value[1:-1])
        return Backward((fold(jnp.split(dy, len(window.places), -1), window),))

    def _window(self, lengths: tuple[int, ...]) -> Window:
        return place_window(lengths, self.kernel, self.stride, self.dilation, self.padding)
