"""Shifting images by a few pixels: pad with zeros, and crop to the original size at a random position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, whole
from retrograd.network.layers.augmentation.shifting import moved, moved_back


@layers.register(
    "random_crop",
    examples=examples(
        ({"padding": 2}, [(5, 4, 3, 2)]), ({"padding": 1, "seed": 3}, [(1, 3, 3, 1)]), ({"padding": 0}, [(2, 2, 2, 1)])
    ),
)
@dataclass(frozen=True)
class RandomCrop(Layer):
    """In training, pad an image with `padding` zeros and crop it to its size at a random position.

        y[i, j] = x[i - a, j - b], 0 where that lies outside

    a and b are integers from -padding to padding, drawn for each image.

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    a and b [batch]; None when not training
    See:     Krizhevsky et al. 2012; He et al. 2016 with 4 pixels for images of 32. A network that pools over all
             positions learns to find an object anywhere.
    """

    padding: Annotated[
        NonNegativeInt,
        Words(
            "maximum shift of an image in pixels, in each direction",
            more="objects appear in more positions; too much moves them out of the image",
            less="objects stay nearly where they were",
            why="4: an eighth of images of 32 pixels",
        ),
    ] = 4
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y[i, j] = x[i - a, j - b], 0 where that lies outside (y = x when not training)",
        backward=("dx[i, j] = dy[i + a, j + b], 0 where that lies outside (dx = dy when not training)",),
        latex_forward=r"y_{ij} = x_{i-a,\,j-b}, \quad a, b \sim U\{-p, \dots, p\}",
        latex_backward=(r"\delta_{x,ij} = \delta_{y,\,i+a,\,j+b}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train or self.padding == 0:
            return Forward(x, None)
        down, right = jax.random.split(own_key(ctx, self.seed))
        offsets = {i: whole(key, x, -self.padding, self.padding) for i, key in ((1, down), (2, right))}
        return Forward(moved(x, offsets), offsets)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy if tape is None else moved_back(dy, tape),))
