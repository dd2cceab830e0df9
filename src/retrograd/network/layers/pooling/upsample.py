"""Enlarging images and sequences without weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
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
from retrograd.network.layers.pooling.axis_maps import map_axes
from retrograd.network.layers.shared.window import Lengths, each_axis, expect_axes


@layers.register(
    "upsample",
    examples=examples(
        ({}, [(2, 2, 3, 2)]),
        ({"factor": [3, 2], "method": "bilinear"}, [(1, 2, 3, 2)]),
        ({"factor": 3, "method": "bilinear"}, [(2, 4, 1)]),
        ({"factor": 2}, [(1, 1, 3)]),
        ({"factor": [1, 2, 2], "method": "bilinear"}, [(1, 1, 2, 2, 1)]),
    ),
)
@dataclass(frozen=True)
class Upsample(Layer):
    """Make each axis `factor` times as long: repeat the nearest value, or interpolate linearly.

        y[i] = sum over k of A[i, k] x[k] along each axis; each row of A is one 1 (nearest) or two shares (bilinear)

    Shapes:  x [batch, *positions, channels], of one to three axes -> y, with factor times the lengths
    Tape:    the lengths of the axes of x
    See:     Bilinear as in PyTorch with align_corners false, and Keras: values lie at pixel centres, and the edges
             are repeated.
    """

    factor: Annotated[
        Lengths,
        Words("ratio of output size to input size", more="larger output", less="smaller output", why="2: doubles"),
    ] = 2
    method: Annotated[
        Literal["nearest", "bilinear"],
        Words("whether positions are repeated or interpolated", why="nearest: repeated, the cheapest"),
    ] = "nearest"

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = A x along each axis",
        backward=("dx = Aᵀ dy along each axis",),
        latex_forward=r"y = A x",
        latex_backward=(r"\delta_x = A^\top \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        lengths = expect_axes(x, 1, 2, 3)
        if self.method == "bilinear":
            return Forward(map_axes(x, self._shares(lengths)), Static(lengths))
        for axis, times in enumerate(each_axis(self.factor, len(lengths), "factor"), 1):
            x = x.repeat(times, axis)
        return Forward(x, Static(lengths))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        lengths = tape.value
        if self.method == "bilinear":
            return Backward((map_axes(dy, [shares.T for shares in self._shares(lengths)]),))
        factors = each_axis(self.factor, len(lengths), "factor")
        copies = [part for pair in zip(lengths, factors, strict=True) for part in pair]
        dx = dy.reshape(dy.shape[0], *copies, dy.shape[-1]).sum(tuple(range(2, 2 * len(lengths) + 1, 2)))
        return Backward((dx,))

    def _shares(self, lengths: tuple[int, ...]) -> list[np.ndarray]:
        """Return the interpolation matrix [factor · length, length] for each axis."""
        factors = each_axis(self.factor, len(lengths), "factor")
        return [straight_lines(length, factor) for length, factor in zip(lengths, factors, strict=True)]


def straight_lines(length: int, factor: int) -> np.ndarray:
    """Return the matrix [factor · length, length] that interpolates linearly between pixel centres."""
    at = np.clip((np.arange(factor * length) + 0.5) / factor - 0.5, 0, length - 1)
    shares: np.ndarray = np.maximum(1 - np.abs(at[:, None] - np.arange(length)), 0)
    return shares
