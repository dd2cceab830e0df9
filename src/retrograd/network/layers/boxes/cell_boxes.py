"""Boxes of a grid's cells as edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

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


@layers.register("cell_boxes", examples=examples(({}, [(2, 2, 3, 4)]), ({}, [(1, 1, 1, 4)])))
@dataclass(frozen=True)
class CellBoxes(Layer):
    """Turn each cell's box (its centre within the cell, width and height) into edges as shares of the image.

        y = (c - s/2, c + s/2), c = ((x + column) / across, (y + row) / down), s = (width, height)

    Shapes:  x [batch, down, across, 4], as the column `cell_box` -> y [batch, down * across, 4]: x_min, y_min, x_max,
             y_max
    Tape:    the shape of x
    Raises:  ShapeError for anything but a grid of boxes.
    See:     Redmon et al. 2016, arXiv:1506.02640, for the encoding of a cell's box.
    """

    equations = Equations(
        forward="y = (c - s/2, c + s/2), c = (position within the cell + cell) / cells, s = (width, height)",
        backward=("dplace = (dlow + dhigh) / cells", "ds = (dhigh - dlow) / 2"),
        latex_forward=r"y = (c - s/2, c + s/2), \quad c = (x_{1:2} + \mathrm{cell}) / \mathrm{cells}, \; s = x_{3:4}",
        latex_backward=(
            r"\delta_{x_{1:2}} = (\delta_{low} + \delta_{high}) / \mathrm{cells}",
            r"\delta_{x_{3:4}} = (\delta_{high} - \delta_{low}) / 2",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if x.ndim != 4 or x.shape[-1] != 4:
            raise ShapeError(f"expected a box in each cell (batch, down, across, 4), got {tuple(x.shape)}")
        down, across = x.shape[1:3]
        cell = np.stack(np.meshgrid(np.arange(across), np.arange(down)), -1)
        middle = (x[..., :2] + jnp.asarray(cell, x.dtype)) / jnp.asarray([across, down], x.dtype)
        half = x[..., 2:] / 2
        return Forward(jnp.concatenate([middle - half, middle + half], -1).reshape(len(x), -1, 4), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        low, high = jnp.split(dy.reshape(tape.value), 2, -1)
        cells = jnp.asarray(tape.value[2:0:-1], dy.dtype)
        return Backward((jnp.concatenate([(low + high) / cells, (high - low) / 2], -1),))
