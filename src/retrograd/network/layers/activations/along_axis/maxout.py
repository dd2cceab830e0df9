"""The largest of several units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers
from retrograd.network.layers.shared.axes import axes_of


@layers.register("maxout", examples=examples(({}, [(5, 4)]), ({"pieces": 3}, [(1, 2, 3)])))
@dataclass(frozen=True)
class Maxout(Activation):
    """Keep the largest of each group of neighbouring features: a learned piecewise linear function.

        y_j = max over p of x_(j pieces + p)

    Shapes:  x [batch, ..., pieces · features] -> y [batch, ..., features]
    Tape:    which piece won
    Raises:  ShapeError if the features are not a multiple of the pieces.
    See:     Goodfellow et al. 2013, arXiv:1302.4389. Of equal values the first one gets the delta.
    """

    pieces: Annotated[
        PositiveInt, Words("features reduced to one", more="more corners; fewer output features", less="fewer corners")
    ] = 2

    by_element = False
    equations = Equations(
        forward="y_j = max over p of x_(j pieces + p)",
        backward=("dx = dy at the piece that won, else 0",),
        latex_forward=r"y_j = \max_p x_{jk + p}",
        latex_backward=(r"\delta_{x_{jk + p}} = \delta_{y_j} [p = \mathrm{argmax}]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        axes_of(x, -1)
        if x.shape[-1] % self.pieces:
            raise ShapeError(f"{x.shape[-1]} features are not a multiple of {self.pieces} pieces", where="pieces",
                             cure=f"give the previous layer a multiple of {self.pieces} units")  # fmt: skip
        parts = x.reshape(*x.shape[:-1], -1, self.pieces)
        return Forward(jnp.max(parts, -1), jnp.argmax(parts, -1))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        wins = tape[..., None] == jnp.arange(self.pieces).reshape(*(1,) * dy.ndim, -1)
        parts = jnp.where(wins, dy[..., None], jnp.zeros((), dy.dtype))
        return Backward((parts.reshape(*dy.shape[:-1], -1),))
