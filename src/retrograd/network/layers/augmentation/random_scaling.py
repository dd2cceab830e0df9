"""Random scaling of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Fraction
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, uniform
from retrograd.network.layers.augmentation.resampling import Reading, read, reading, spread


@layers.register(
    "random_scaling",
    examples=examples(
        ({"amount": 0.5}, [(4, 5, 4, 2)]), ({"seed": 3}, [(1, 3, 3, 1)]), ({"amount": 0}, [(2, 2, 2, 1)])
    ),
)
@dataclass(frozen=True)
class RandomScaling(Layer):
    """In training, enlarge or shrink an image about its centre.

        y = S x

    S scales by a factor between 1 - amount and 1 / (1 - amount), shrinking as often as enlarging; each new pixel is
    interpolated between the four old ones around its position (bilinear), with zeros outside.

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    numbers and shares of the four pixels [4, batch, height * width]; None when not training
    See:     Krizhevsky et al. 2012 crop and resize; here the image keeps its shape.
    """

    amount: Annotated[
        Fraction,
        Words(
            "maximum relative shrinkage; images grow as often and by as much",
            more="objects appear in more sizes; enlarged too much, they leave the image",
            less="objects keep nearly their size",
            why="a tenth: slightly closer or farther away",
        ),
    ] = 0.1
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = S x (y = x when not training)",
        backward=("dx = Sᵀ dy (dx = dy when not training)",),
        latex_forward=r"y = S_s x, \quad \log s \sim U(\log(1 - a), -\log(1 - a))",
        latex_backward=(r"\delta_x = S_s^\top \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train or self.amount == 0:
            return Forward(x, None)
        most = -math.log(1 - self.amount)
        size = jnp.exp(uniform(own_key(ctx, self.seed), x, -most, most))
        by = reading(x, jnp.eye(2, dtype=x.dtype)[None] / size[:, None, None])
        return Forward(read(x, by), by)

    @override
    def backward(self, params: Params, tape: Reading | None, dy: Array) -> Backward:
        return Backward((dy if tape is None else spread(dy, tape),))
