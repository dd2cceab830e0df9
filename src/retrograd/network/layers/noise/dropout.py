"""Dropping random values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.compilation.scalars import on_host
from retrograd.base.keys import random_bits
from retrograd.base.quantities import Fraction
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers


@layers.register("dropout", examples=examples(({}, [(5, 4)]), ({"rate": 0.2}, [(1, 3, 1)]), ({"rate": 0}, [(3, 2)])))
@dataclass(frozen=True)
class Dropout(Layer):
    """In training, set each value to 0 with probability `rate` and scale up the rest; else pass the input on.

        y = x / (1 - rate) where kept, else 0

    Shapes:  x [batch, ...] -> y, the same
    Tape:    kept [batch, ...], true or false; None when not training
    See:     Srivastava et al. 2014. The mean of y is x, so nothing is scaled when not training. The mask depends on
             the step's key, the node's name and the shape, not on the precision.
    """

    rate: Annotated[
        Fraction,
        Words(
            "share of the values that are set to 0 in training; the others are scaled up",
            more="less overfitting, slower learning; too much leaves too few units",
            less="less noise, more overfitting",
            why="0.5: the maximum noise per unit",
        ),
    ] = 0.5

    open_numbers: ClassVar[tuple[str, ...]] = ("rate",)
    mixes_batch: ClassVar[bool] = True  # the mask is drawn by position in the batch
    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x / (1 - rate) where kept, else 0 (y = x when not training)",
        backward=("dx = dy / (1 - rate) where kept, else 0 (dx = dy when not training)",),
        latex_forward=r"y = \frac{m}{1 - p} x, \quad m \sim \mathrm{Bernoulli}(1 - p)",
        latex_backward=(r"\delta_x = \frac{m}{1 - p} \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if not ctx.train or self.rate == 0:
            return Forward(x, None)
        mask = draw_kept(ctx.random_key(), x.shape, self.rate)
        return Forward(apply_mask(x, mask, self.rate), mask)

    @override
    def backward(self, params: Params, tape: Array | None, dy: Array) -> Backward:
        return Backward((dy if tape is None else apply_mask(dy, tape, self.rate),))


def draw_kept(key: Array, shape: tuple[int, ...], rate: float) -> Array:
    """Return true with probability 1 - rate, to 2^-32: the same under x64, which uniform floats would not be."""
    kept: Array = random_bits(key, shape) >= jnp.asarray(on_host(_threshold, rate), jnp.uint32)
    return kept


def _threshold(rate: float) -> np.uint32:
    return np.uint32(min(round(rate * 2**32), 2**32 - 1))


def apply_mask(x: Array, mask: Array, rate: float) -> Array:
    """Return x / (1 - rate) where kept, else 0."""
    return jnp.where(mask, x * (1 / (1 - rate)), jnp.zeros_like(x))
