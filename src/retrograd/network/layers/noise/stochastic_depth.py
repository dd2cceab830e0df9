"""Dropping a whole branch for some examples."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.network.layer import Context, Forward, Params, State, examples, layers
from retrograd.network.layers.noise.dropout import Dropout, apply_mask, draw_kept


@layers.register(
    "stochastic_depth",
    examples=examples(({}, [(5, 4)]), ({"rate": 0.2}, [(1, 3, 5)]), ({"rate": 0}, [(2, 2, 3)])),
)
@dataclass(frozen=True)
class StochasticDepth(Dropout):
    """In training, set an example's whole input to 0 with probability `rate` and scale up the others.

        y = x / (1 - rate) for the examples kept, else 0

    As the last of a residual block's layers it makes the block skip itself, so the network is shallower in training.

    Shapes:  x [batch, ...] -> y, the same
    Tape:    kept [batch, 1...], true or false; None when not training
    See:     Huang et al. 2016, arXiv:1603.09382; called drop path elsewhere.
    """

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if not ctx.train or self.rate == 0:
            return Forward(x, None)
        mask = draw_kept(ctx.random_key(), (x.shape[0], *(1 for _ in x.shape[1:])), self.rate)
        return Forward(apply_mask(x, mask, self.rate), mask)
