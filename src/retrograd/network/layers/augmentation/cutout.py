"""Hiding a random square of each image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, whole


@layers.register("cutout", examples=examples(({"size": 2}, [(5, 4, 3, 2)]), ({"size": 3, "seed": 3}, [(1, 2, 2, 1)])))
@dataclass(frozen=True)
class Cutout(Layer):
    """In training, set a square of `size` pixels of each image to 0; else pass the input on.

        y = m x

    m is 0 in the square and 1 elsewhere; the square's centre is any pixel, so a part of it may lie outside.

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    m [batch, height, width, 1], true or false; None when not training
    See:     DeVries & Taylor 2017, arXiv:1708.04552: the network learns to use all of an object, not just its most
             salient part. Unlike in dropout, the remaining values are not scaled up.
    """

    size: Annotated[
        PositiveInt,
        Words(
            "height and width of the square in pixels",
            more="hides more; too much hides the object itself",
            less="hides less",
            why="8: a quarter of images of 32 pixels",
        ),
    ] = 8
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = m x (y = x when not training)",
        backward=("dx = m dy (dx = dy when not training)",),
        latex_forward=r"y = m \odot x",
        latex_backward=(r"\delta_x = m \odot \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train:
            return Forward(x, None)
        hidden = jnp.ones((), bool)
        for axis, key in zip((1, 2), jax.random.split(own_key(ctx, self.seed)), strict=True):
            first = whole(key, x, 0, x.shape[axis] - 1) - self.size // 2
            distance = jnp.arange(x.shape[axis], dtype=jnp.int32)[None] - first[:, None]
            shape = (x.shape[0], *(x.shape[axis] if i == axis else 1 for i in (1, 2)), 1)
            hidden = hidden & ((distance >= 0) & (distance < self.size)).reshape(shape)
        return Forward(_seen(x, ~hidden), ~hidden)

    @override
    def backward(self, params: Params, tape: Array | None, dy: Array) -> Backward:
        return Backward((dy if tape is None else _seen(dy, tape),))


def _seen(x: Array, mask: Array) -> Array:
    return jnp.where(mask, x, jnp.zeros_like(x))
