"""The mean of each window."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveInt
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
from retrograd.network.layers.pooling.max_pool import (
    BORDER_PLACES,
    DILATION,
    INCOMPLETE_WINDOW,
    MERGED_PLACES,
    POOL_STRIDE,
    expect_values,
)
from retrograd.network.layers.shared.window import Lengths, Padding, Window, expect_axes, fold, place_window, views


@layers.register(
    "average_pool",
    examples=examples(
        ({}, [(2, 4, 5, 2)]),
        ({"window": 3, "stride": 2, "padding": "same", "count_padding": False}, [(1, 6, 2)]),
        ({"window": [2, 3], "stride": [1, 2], "padding": 1, "ceil": True}, [(2, 4, 5, 1)]),
        ({"window": 2, "dilation": [2, 1, 1], "stride": 1, "divisor": 5}, [(1, 3, 2, 2, 1)]),
    ),
)
@dataclass(frozen=True)
class AveragePool(Layer):
    """Take the mean of each window, channel by channel.

        y[i] = the mean over p of x[stride i + dilation p]

    `stride` defaults to the window. `ceil`: a last window may extend beyond the end; positions beyond input and padding
    never count. `divisor` replaces the number of values that count.

    Shapes:  x [batch, *positions, channels], of one to three axes -> y, with shorter axes
    Tape:    the shape of x
    Raises:  ShapeError if the window is larger than the padded input, or might see only padding.
    See:     Padded zeros count as values unless `count_padding: false`, as in PyTorch; Keras and ONNX omit them.
    """

    window: Annotated[Lengths, MERGED_PLACES] = 2
    stride: Annotated[Lengths | None, POOL_STRIDE] = None
    padding: Annotated[Padding, BORDER_PLACES] = 0
    ceil: Annotated[bool, INCOMPLETE_WINDOW] = False
    count_padding: Annotated[
        bool, Words("whether padding counts in the mean", why="as in PyTorch; not in Keras and ONNX")
    ] = True

    dilation: Annotated[Lengths, DILATION] = 1
    divisor: Annotated[
        PositiveInt | None, Words("divisor of each window's sum", why="none: the number of its positions that count")
    ] = None

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = mean of x over the window",
        backward=("dx = dy / count, summed over the windows that see x",),
        latex_forward=r"y_i = \frac{1}{n_i} \textstyle\sum_p x_{si + p}",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_{si + p = k} \delta_{y_i} / n_i",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        window = self._window(expect_axes(x, 1, 2, 3))
        total = functools.reduce(jnp.add, views(x, window))
        return Forward(total * self.shares(window).astype(x.dtype), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        window = self._window(tape.value[1:-1])
        return Backward((fold([dy * self.shares(window).astype(dy.dtype)] * len(window.places), window),))

    def _window(self, lengths: tuple[int, ...]) -> Window:
        stride = self.window if self.stride is None else self.stride
        return expect_values(
            place_window(lengths, self.window, stride, self.dilation, self.padding, self.ceil, what="window")
        )

    def shares(self, window: Window) -> np.ndarray:
        """Return 1 / (the number of values that count in each window), [*outputs, 1]."""
        counts: np.ndarray = np.ones(())
        for axis, (low, high) in enumerate(window.padding):
            first = np.arange(window.outputs[axis]) * window.stride[axis] - low
            begin, end = (-low, window.lengths[axis] + high) if self.count_padding else (0, window.lengths[axis])
            places = first[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]
            counts = np.multiply.outer(counts, ((places >= begin) & (places < end)).sum(1))
        shares: np.ndarray = 1 / (counts if self.divisor is None else np.full_like(counts, self.divisor))[..., None]
        return shares
