"""Noise added while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers


@layers.register("gaussian_noise", examples=examples(({}, [(5, 4)]), ({"std": 1}, [(1, 3, 2)]), ({"std": 0}, [(2, 3)])))
@dataclass(frozen=True)
class GaussianNoise(Layer):
    """In training, add Gaussian noise to each value; else pass the input on.

        y = x + std · noise

    Shapes:  x [batch, ...] -> y, the same
    Tape:    nothing
    See:     Bishop 1995: with a squared error it acts as a penalty on steep functions. The noise depends on the
             step's key, the node's name and the shape, not on the precision.
    """

    std: Annotated[
        NonNegativeFloat,
        Words(
            "standard deviation of the noise added in training",
            more="less overfitting, slower learning",
            less="less noise",
            why="a tenth of a standardised input",
        ),
    ] = 0.1

    mixes_batch: ClassVar[bool] = True  # the noise is drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x + std · noise (y = x when not training)",
        backward=("dx = dy",),
        latex_forward=r"y = x + \sigma \epsilon, \quad \epsilon \sim N(0, 1)",
        latex_backward=(r"\delta_x = \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if not ctx.train or self.std == 0:
            return Forward(x)
        noise = jax.random.normal(ctx.random_key(), x.shape, jnp.float32)
        return Forward(x + self.std * noise.astype(x.dtype))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((dy,))
