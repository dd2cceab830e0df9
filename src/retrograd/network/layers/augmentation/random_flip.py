"""Random mirroring of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Probability
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, per_example, uniform

AXES = {"horizontal": 2, "vertical": 1}


@layers.register(
    "random_flip",
    examples=examples(
        ({}, [(5, 3, 4, 2)]),
        ({"direction": "vertical", "rate": 0.8, "seed": 3}, [(4, 3, 2, 1)]),
        ({"rate": 0}, [(1, 2, 2, 1)]),
    ),
)
@dataclass(frozen=True)
class RandomFlip(Layer):
    """In training, mirror an image with probability `rate`; else pass the input on.

        y = x mirrored where chosen, else x

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    chosen [batch], true or false; None when not training
    See:     horizontal swaps left and right, which suits photographs but not digits and letters. The backward pass
             mirrors the delta: mirroring is its own adjoint.
    """

    direction: Annotated[
        Literal["horizontal", "vertical"],
        Words("whether left and right are swapped, or top and bottom", why="most objects may face either side"),
    ] = "horizontal"
    rate: Annotated[
        Probability,
        Words("probability that an image is mirrored", more="more mirrored images", less="fewer", why="half of them"),
    ] = 0.5
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x mirrored where chosen, else x (y = x when not training)",
        backward=("dx = dy mirrored where chosen, else dy (dx = dy when not training)",),
        latex_forward=r"y = m\,Fx + (1 - m)\,x, \quad m \sim \mathrm{Bernoulli}(p)",
        latex_backward=(r"\delta_x = m\,F\delta_y + (1 - m)\,\delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train or self.rate == 0:
            return Forward(x, None)
        chosen = uniform(own_key(ctx, self.seed), x, 0.0, 1.0) < self.rate
        return Forward(self._mirrored(x, chosen), chosen)

    @override
    def backward(self, params: Params, tape: Array | None, dy: Array) -> Backward:
        return Backward((dy if tape is None else self._mirrored(dy, tape),))

    def _mirrored(self, x: Array, chosen: Array) -> Array:
        return jnp.where(per_example(chosen, x), jnp.flip(x, AXES[self.direction]), x)
