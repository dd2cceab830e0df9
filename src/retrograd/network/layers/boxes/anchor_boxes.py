"""Boxes of a few shapes around every position of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from pydantic import Field
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveFloat
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

Lengths = Annotated[tuple[PositiveFloat, ...], Field(min_length=1)]


@layers.register(
    "anchor_boxes",
    examples=examples(({"sizes": [0.25]}, [(2, 2, 3, 1)]), ({"sizes": [0.2, 0.5], "ratios": [0.5, 2]}, [(1, 2, 2, 3)])),
)
@dataclass(frozen=True)
class AnchorBoxes(Layer):
    """Put boxes of fixed sizes around the centre of every position of a map, for a detector to shift.

        y = (c - s/2, c + s/2), c = ((column + 1/2) / width, (row + 1/2) / height), s = size (ratio^-1/2, ratio^1/2)

    Shapes:  x [batch, height, width, channels] -> y [batch, height * width * sizes * ratios, 4]: x_min, y_min, x_max,
             y_max as shares of the image, outside [0, 1] where an anchor crosses the border
    Tape:    the shape of x
    Raises:  ShapeError for anything but a map.
    See:     Ren et al. 2015, arXiv:1506.01497, section 3.1.1. At each position the ratios of one size are consecutive.
             The paper leaves anchors that cross the border out of training; here they are kept.
    """

    sizes: Annotated[
        Lengths, Words("sides of the boxes as shares of the image", more="larger objects", less="smaller objects")
    ]
    ratios: Annotated[
        Lengths, Words("ratios of height to width", more="taller boxes", less="wider boxes", why="1: only squares")
    ] = (1.0,)

    equations = Equations(
        forward="y = (c - s/2, c + s/2), c the centre of each position, s = size (1/√ratio, √ratio)",
        backward=("dx = 0: of x only the shape counts",),
        latex_forward=r"y = (c - s/2, \; c + s/2), \quad s = \mathrm{size} \, (r^{-1/2}, r^{1/2})",
        latex_backward=(r"\delta_x = 0",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if x.ndim != 4:
            raise ShapeError(f"expected a map (batch, height, width, channels), got {tuple(x.shape)}")
        boxes = jnp.asarray(self.of_map(*x.shape[1:3]), x.dtype)
        return Forward(jnp.broadcast_to(boxes, (len(x), *boxes.shape)), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((jnp.zeros(tape.value, dy.dtype),))

    def of_map(self, height: int, width: int) -> np.ndarray:
        """Return the boxes of a map [positions * sizes * ratios, 4], row by row."""
        sides = np.array([(size / ratio**0.5, size * ratio**0.5) for size in self.sizes for ratio in self.ratios])
        middle = np.stack(np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height), -1)
        low, high = middle[..., None, :] - sides / 2, middle[..., None, :] + sides / 2
        return np.concatenate([low, high], -1).reshape(-1, 4)
