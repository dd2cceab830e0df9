"""A grid of values from each region of interest of an image, for regions of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Input,
    Layer,
    Params,
    State,
    examples,
    layers,
)


class Rows(NamedTuple):
    """Where the cells of boxes sample along one axis, and the share of each position in a sample."""

    shares: Array  # [batch, boxes, size, positions]: the mean over the samples of a cell
    slopes: Array  # [batch, boxes, size, samples, positions]: by the coordinate of the sample, over `samples`


@layers.register(
    "roi_align",
    examples=examples(
        ({"size": 2}, [(2, 4, 5, 2), Input((2, 3, 4), "positive")]),
        ({"size": 3, "scale": 0.5, "samples": 1}, [(1, 3, 3, 1), Input((1, 2, 4), "positive")]),
    ),
)
@dataclass(frozen=True)
class RoiAlign(Layer):
    """Lay a grid over each box of an image and average some interpolated samples in each of its cells.

        y = A x Bᵀ for each box and channel; A[i, p] = the mean over the samples of row i of max(0, 1 - |their y - p|)

    Shapes:  x [batch, height, width, channels], boxes [batch, boxes, 4]: x_min, y_min, x_max, y_max
             -> y [batch, boxes, size, size, channels]
    Tape:    x, A and B, and their slopes by the coordinates of the samples
    Raises:  ShapeError if the boxes do not fit the images.
    See:     He et al. 2017, arXiv:1703.06870, with the centre of the first position at 0.5, as torchvision with
             `aligned: true`. A sample beyond the border takes the value at the border, or 0 if it is more than a
             position away. The boxes get their exact delta too (none in torchvision).
    """

    size: Annotated[
        PositiveInt,
        Words("rows and columns of the grid in a box", more="finer; slower", less="coarser", why="7, the paper's"),
    ] = 7
    scale: Annotated[
        PositiveFloat,
        Words(
            "positions of x per unit of the boxes, e.g. 1/16 for boxes in pixels", why="1: boxes are in positions of x"
        ),
    ] = 1.0
    samples: Annotated[
        PositiveInt,
        Words("samples per cell along each axis", more="smoother; slower", less="faster", why="2, the paper's"),
    ] = 2

    equations = Equations(
        forward="y = A x Bᵀ, A[i, p] = mean over samples of max(0, 1 - |u - p|), u on the grid of the box",
        backward=(
            "dx = Σ_boxes Aᵀ dy B",
            "dA = dy B xᵀ, dB = dyᵀ A x; du = Σ_p dA ∂A/∂u, to the ends of the box by where u lies between them",
        ),
        latex_forward=r"y = A x B^\top, \quad A_{ip} = \overline{\max(0, 1 - |u - p|)}",
        latex_backward=(
            r"\delta_x = \textstyle\sum A^\top \delta_y B",
            r"\nabla_A = \delta_y B x^\top, \quad \nabla_B = \delta_y^\top A x",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, boxes: Array) -> Forward:
        if x.ndim != 4 or boxes.ndim != 3 or boxes.shape[::2] != (len(x), 4):
            raise ShapeError(
                f"expected images (batch, height, width, channels) and boxes (batch, boxes, 4), got {tuple(x.shape)} "
                f"and {tuple(boxes.shape)}"
            )
        boxes = boxes.astype(x.dtype)
        down = self._rows(boxes[..., 1], boxes[..., 3], x.shape[1])
        across = self._rows(boxes[..., 0], boxes[..., 2], x.shape[2])
        y = jnp.einsum("bnip,bpqc,bnjq->bnijc", down.shares, x, across.shares)
        return Forward(y, (x, down, across))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        x, down, across = tape
        dx = jnp.einsum("bnip,bnijc,bnjq->bpqc", down.shares, dy, across.shares)
        top, bottom = self._ends(down, jnp.einsum("bnijc,bnjq,bpqc->bnip", dy, across.shares, x))
        left, right = self._ends(across, jnp.einsum("bnijc,bnip,bpqc->bnjq", dy, down.shares, x))
        return Backward((dx, jnp.stack([left, top, right, bottom], -1)))

    def _rows(self, low: Array, high: Array, places: int) -> Rows:
        """Return the shares of the positions in the cells between two ends [batch, boxes]."""
        between = self._between(low.dtype)
        at = self.scale * (low[..., None, None] * (1 - between) + high[..., None, None] * between) - 0.5
        inside = (at >= -1) & (at <= places)
        clipped = jnp.clip(at, 0, places - 1)
        apart = clipped[..., None] - jnp.arange(places, dtype=low.dtype)
        there = (jnp.abs(apart) < 1) & inside[..., None]
        zero = jnp.zeros((), low.dtype)
        shares = jnp.where(there, 1 - jnp.abs(apart), zero).mean(-2)
        moves = there & (at == clipped)[..., None]
        return Rows(shares, jnp.where(moves, -jnp.sign(apart), zero) / self.samples)

    def _ends(self, rows: Rows, dshares: Array) -> tuple[Array, Array]:
        """Return the deltas of the two ends of each box."""
        du = self.scale * (rows.slopes * dshares[..., None, :]).sum(-1)
        between = self._between(du.dtype)
        return (du * (1 - between)).sum((-2, -1)), (du * between).sum((-2, -1))

    def _between(self, dtype: Any) -> Array:
        """Return the relative positions of the samples in a box, from 0 to 1: [size, samples]."""
        within = (np.arange(self.samples) + 0.5) / self.samples
        return jnp.asarray((np.arange(self.size)[:, None] + within) / self.size, dtype)
