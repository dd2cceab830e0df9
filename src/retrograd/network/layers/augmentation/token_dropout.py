"""Replacing random tokens by the unknown one."""

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

    Padding is never replaced.

    Shapes:  x [batch, length], identifiers -> y, the same
    Tape:    nothing: identifiers have no delta
    See:     Iyyer et al. 2015 (word dropout); Sennrich & Zhang 2019. The network sees the unknown token in training,
             as it will in use, and cannot rely on a single word.
    """

    rate: Annotated[
        Fraction,
        Words(
            "share of the tokens replaced by the unknown one",
            more="less overfitting, but less of the text remains",
            less="more of the text remains",
            why="a tenth: a word here and there",
        ),
    ] = 0.1
    unknown: Annotated[
        NonNegativeInt, Words("identifier of the unknown token", why="1: as in texts read from files")
    ] = 1
    padding: Annotated[NonNegativeInt, Words("identifier that is never replaced", why="0: the padding of texts")] = 0
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
