"""Tokens made unknown at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import DataTypeError
from retrograd.base.quantities import Fraction, NonNegativeInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Input, Layer, Params, State, examples, layers
from retrograd.network.layers.augmentation.drawing import OwnSeed, own_key
from retrograd.network.layers.noise.dropout import draw_kept


@layers.register(
    "token_dropout",
    examples=examples(
        ({"rate": 0.5}, [Input((5, 4), "labels", 6)]),
        ({"seed": 3}, [Input((1, 3), "labels", 4)]),
        ({"rate": 0}, [Input((2, 3), "labels", 4)]),
    ),
)
@dataclass(frozen=True)
class TokenDropout(Layer):
    """In training, replace each token by the unknown one with probability `rate`; else pass the input on.

        y = x where kept, else the unknown token

    Padding stays padding.

    Shapes:  x [batch, length], identifiers -> y, the same
    Tape:    nothing: identifiers have no delta
    See:     Iyyer et al. 2015 (word dropout); Sennrich & Zhang 2019. The network meets the unknown token in training,
             as it will in use, and cannot lean on a single word.
    """

    rate: Annotated[
        Fraction,
        Words(
            "share of the tokens that become unknown",
            more="less overfitting, and less of the text is left",
            less="more of the text is left",
            why="a tenth: a word here and there",
        ),
    ] = 0.1
    unknown: Annotated[
        NonNegativeInt, Words("the identifier that stands for unknown tokens", why="1: as texts are read")
    ] = 1
    padding: Annotated[NonNegativeInt, Words("the identifier that is left alone", why="0: as texts are filled up")] = 0
    seed: OwnSeed = None

    mixes_batch: ClassVar[bool] = True  # drawn by position in the batch
    equations = Equations(
        forward="y = x where kept, else the unknown token (y = x when not training)",
        backward=("identifiers have no delta",),
        latex_forward=r"y = \begin{cases} x & \text{kept} \\ \text{unknown} & \text{else} \end{cases}",
        latex_backward=(r"\text{none}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if not jnp.issubdtype(x.dtype, jnp.integer):
            raise DataTypeError(f"expected identifiers, got {x.dtype.name}", cure="put it before the embedding")
        if not ctx.train or self.rate == 0:
            return Forward(x)
        kept = draw_kept(own_key(ctx, self.seed), x.shape, self.rate) | (x == self.padding)
        return Forward(jnp.where(kept, x, jnp.asarray(self.unknown, x.dtype)))

    @override
    def backward(self, params: Params, tape: Any, dy: Any) -> Backward:
        return Backward((None,))
