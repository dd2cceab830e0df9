"""Dropping random channels."""

from __future__ import annotations

from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.network.layer import Context, Forward, Params, State, examples, layers
from retrograd.network.layers.noise.dropout import Dropout, apply_mask, draw_kept


@layers.register(
    "spatial_dropout",
    examples=examples(({}, [(3, 2, 2, 4)]), ({"rate": 0.2}, [(1, 3, 5)]), ({"rate": 0}, [(2, 2, 3)])),
)
@dataclass(frozen=True)
class SpatialDropout(Dropout):
    """In training, set whole channels of an example to 0 with probability `rate` and scale up the rest.

        y = x / (1 - rate) in the channels kept, else 0

    Shapes:  x [batch, ..., channels] -> y, the same
    Tape:    kept [batch, 1..., channels], true or false; None when not training
    See:     Tompson et al. 2015, arXiv:1411.4280: neighbours in an image are similar, so single values would not be
             missed. PyTorch's Dropout2d. `dropout` draws each value separately.
    """

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if not ctx.train or self.rate == 0:
            return Forward(x, None)
        shape = (x.shape[0], *(1 for _ in x.shape[1:-1]), x.shape[-1])
        mask = draw_kept(ctx.random_key(), shape, self.rate)
        return Forward(apply_mask(x, mask, self.rate), mask)
