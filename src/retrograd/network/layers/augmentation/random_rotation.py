"""Random rotation of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, expect_images, own_key, uniform
from retrograd.network.layers.augmentation.resampling import Reading, radians, read, reading, rotation, spread


@layers.register(
    "random_rotation",
    examples=examples(
        ({"degrees": 30}, [(4, 5, 4, 2)]), ({"seed": 3}, [(1, 3, 3, 1)]), ({"degrees": 0}, [(2, 2, 2, 1)])
    ),
)
@dataclass(frozen=True)
class RandomRotation(Layer):
    """In training, rotate an image about its centre by an angle between -degrees and degrees.

        y = R x

    R interpolates each new pixel between the four old ones around its position (bilinear), with zeros outside.

    Shapes:  x [batch, height, width, channels] -> y, the same
    Tape:    numbers and shares of the four pixels [4, batch, height * width]; None when not training
    See:     Simard et al. 2003. Small angles suit digits: a 6 rotated by 180 degrees is a 9.
    """

    degrees: Annotated[
        NonNegativeFloat,
        Words(
            "maximum rotation in degrees, in either direction",
            more="objects appear at more angles; too much changes their meaning",
            less="objects stay nearly upright",
            why="10: the variation of careful handwriting",
        ),
    ] = 10.0
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = R x (y = x when not training)",
        backward=("dx = Rᵀ dy (dx = dy when not training)",),
        latex_forward=r"y = R_\varphi x, \quad \varphi \sim U(-d, d)",
        latex_backward=(r"\delta_x = R_\varphi^\top \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_images(x)
        if not ctx.train or self.degrees == 0:
            return Forward(x, None)
        most = radians(self.degrees)
        by = reading(x, rotation(uniform(own_key(ctx, self.seed), x, -most, most)))
        return Forward(read(x, by), by)

    @override
    def backward(self, params: Params, tape: Reading | None, dy: Array) -> Backward:
        return Backward((dy if tape is None else spread(dy, tape),))
