"""The largest value in each window."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.shared.window import Lengths, Padding, Window, expect_axes, fold, place_window, views

MERGED_PLACES = Words(
    "positions merged into one",
    more="coarser output, less to compute, larger receptive field",
    less="finer output",
    why="halves each axis",
)
POOL_STRIDE = Words(
    "positions from one window to the next",
    more="smaller output",
    less="windows overlap",
    why="the window size: no overlap",
)
BORDER_PLACES = Words("positions added at each border", more="larger output", less="smaller output")
DILATION = Words(
    "distance between the positions of a window",
    more="wider windows with the same number of positions",
    less="denser windows",
    why="1: neighbours",
)
INCOMPLETE_WINDOW = Words("whether a last, incomplete window counts", why="false: it is left out, as in PyTorch")


@layers.register(
    "max_pool",
    examples=examples(
        ({}, [(2, 4, 6, 2)]),
        ({"window": [3, 2], "stride": [2, 1], "padding": "same"}, [(1, 5, 5, 2)]),
        ({"window": 3, "stride": 2, "dilation": 2, "padding": 1}, [(2, 9, 3)]),
        ({"window": 2, "stride": 3, "ceil": True}, [(1, 5, 7, 1)]),
        ({"window": [1, 2, 2]}, [(1, 2, 2, 3, 1)]),
    ),
)
@dataclass(frozen=True)
class MaxPool(Layer):
    """Keep the largest value of each window, channel by channel.

        y[i] = max over p of x[stride i + dilation p]

    `stride` defaults to the window. Padding never wins. `ceil`: a last window may extend beyond the end.

    Shapes:  x [batch, *positions, channels], of one to three axes -> y, with shorter axes
    Tape:    x, y
    Raises:  ShapeError if the window is larger than the padded input, or might see only padding.
    See:     Of equal values the first one (row by row) gets the delta, as in PyTorch.
    """

    window: Annotated[Lengths, MERGED_PLACES] = 2
    stride: Annotated[Lengths | None, POOL_STRIDE] = None
    padding: Annotated[Padding, BORDER_PLACES] = 0
    dilation: Annotated[Lengths, DILATION] = 1
    ceil: Annotated[bool, INCOMPLETE_WINDOW] = False

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = max of x over the window",
        backward=("dx = dy where x is the first to equal y in its window, else 0, summed over the windows that see x",),
        latex_forward=r"y_i = \max_p x_{si + dp}",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_i \delta_{y_i} [k = \mathrm{argmax}_i]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = lax.optimization_barrier(functools.reduce(jnp.maximum, views(x, self._window(x), -jnp.inf)))
        return Forward(y, (x, y))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        x, y = tape
        window = self._window(x)
        # index of the winning entry, as float32: with int32, XLA took twice as long for overlapping windows
        first = jnp.full(y.shape, len(window.places), jnp.float32)
        for number, seen in reversed(list(enumerate(views(x, window, -jnp.inf)))):
            first = jnp.where(seen == y, number, first)
        zero = jnp.zeros_like(dy)
        dx = fold([jnp.where(first == i, dy, zero) for i in range(len(window.places))], window)
        return Backward((lax.optimization_barrier(dx),))  # computed once, even if a bias and a convolution read it

    def _window(self, x: Array) -> Window:
        lengths, stride = expect_axes(x, 1, 2, 3), self.window if self.stride is None else self.stride
        window = place_window(lengths, self.window, stride, self.dilation, self.padding, self.ceil, what="window")
        return expect_values(window)


def expect_values(window: Window) -> Window:
    """Return the window; raise ShapeError if it might see only padding."""
    for extent, pair in zip(window.extent, window.padding, strict=True):
        if max(pair) >= extent:
            raise ShapeError(f"padding {max(pair)} must be smaller than the window, which spans {extent}")
    return window
