"""Random changes of an image's brightness, contrast and saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Fraction, NonNegativeFloat
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, per_example, uniform


@layers.register(
    "color_jitter",
    examples=examples(
        ({}, [(4, 3, 4, 3)]),
        ({"brightness": 0.3, "contrast": 0, "saturation": 0, "seed": 3}, [(3, 2, 2, 1)]),
        ({"brightness": 0, "contrast": 0, "saturation": 0}, [(1, 2, 2, 3)]),
    ),
)
@dataclass(frozen=True)
class ColorJitter(Layer):
    """In training, change brightness, contrast and saturation of an image; else pass the input on.

        y = c (z - mean z) + mean z + b, z = s (x - grey x) + grey x

    For each image b is drawn between -brightness and brightness, c and s around 1. grey is the mean over the channels,
    mean that over the whole image. Nothing is clipped.

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    c and s [batch, 1, 1, 1]; None when not training
    See:     Krizhevsky et al. 2012; as PyTorch's ColorJitter without hue, in a fixed order. Both steps are symmetric
             maps, so the backward pass applies the same two in reverse order.
    """

    brightness: Annotated[
        NonNegativeFloat,
        Words(
            "largest amount added to or subtracted from all values of an image",
            more="from very dark to very bright images",
            less="nearly the original brightness",
            why="a tenth of the range from 0 to 1",
        ),
    ] = 0.1
    contrast: Annotated[
        Fraction,
        Words(
            "largest relative change of the values' distance from their mean",
            more="from faint to harsh contrast",
            less="nearly the original contrast",
            why="a tenth: like another exposure",
        ),
    ] = 0.1
    saturation: Annotated[
        Fraction,
        Words(
            "largest relative change of the channels' distance from grey",
            more="from grey to garish images",
            less="nearly the original colours",
            why="a tenth: like another camera; no effect on grey images",
        ),
    ] = 0.1
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = c (z - mean z) + mean z + b, z = s (x - grey x) + grey x (y = x when not training)",
        backward=(
            "dz = c (dy - mean dy) + mean dy",
            "dx = s (dz - grey dz) + grey dz (dx = dy when not training)",
        ),
        latex_forward=r"z = s (x - \bar x_c) + \bar x_c, \quad y = c (z - \bar z) + \bar z + b",
        latex_backward=(
            r"\delta_z = c (\delta_y - \bar\delta_y) + \bar\delta_y",
            r"\delta_x = s (\delta_z - \bar\delta_{z,c}) + \bar\delta_{z,c}",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train or (self.brightness, self.contrast, self.saturation) == (0, 0, 0):
            return Forward(x, None)
        keys = jax.random.split(own_key(ctx, self.seed), 3)
        b = per_example(uniform(keys[0], x, -self.brightness, self.brightness), x)
        c, s = (
            per_example(uniform(key, x, 1 - amount, 1 + amount), x)
            for key, amount in ((keys[1], self.contrast), (keys[2], self.saturation))
        )
        return Forward(about_mean(about_grey(x, s), c) + b, (c, s))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        if tape is None:
            return Backward((dy,))
        c, s = tape
        return Backward((about_grey(about_mean(dy, c), s),))


def about_grey(x: Array, factor: Array) -> Array:
    """Return s (x - grey x) + grey x, grey being the mean over the channels; a symmetric map."""
    grey = jnp.mean(x, -1, keepdims=True)
    return factor * (x - grey) + grey


def about_mean(x: Array, factor: Array) -> Array:
    """Return c (x - mean x) + mean x, with the mean over the whole image; a symmetric map."""
    mean = jnp.mean(x, (1, 2, 3), keepdims=True)
    return factor * (x - mean) + mean
