"""Normalising groups of channels of each example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import (
    Backward,
    Context,
    Forward,
    Init,
    Params,
    Spec,
    State,
    examples,
    expect_features,
    layers,
)
from retrograd.network.layers.normalisation.normalisation import (
    Normalisation,
    scaled,
    scaled_backward,
    standardise,
    standardise_backward,
    widened,
)

PLACES_AND_GROUP = (1, 3)  # of [batch, positions, groups, channels of a group]


@layers.register(
    "group_norm",
    examples=examples(
        ({"groups": 2}, [(2, 3, 2, 4)]),
        ({"groups": 1, "scale": False}, [(1, 3, 3)]),
        ({"groups": 3, "bias": False}, [(2, 6)]),
    ),
)
@dataclass(frozen=True)
class GroupNorm(Normalisation):
    """Centre and scale each example's groups of neighbouring channels, over the group and all positions.

        y = scale · (x - mean) / sqrt(var + eps) + bias

    Shapes:  x [batch, ..., channels] -> y, the same
    Params:  scale [channels], bias [channels]
    Tape:    xhat, inverse deviation of each group
    Raises:  ShapeError if the groups do not divide the channels.
    See:     Wu & He 2018, arXiv:1803.08494. Unlike batch norm it works the same in training and in use, and needs no
             large batch.
    """

    groups: Annotated[
        PositiveInt,
        Words(
            "number of groups that channels are divided into, each normalised separately",
            more="closer to instance norm",
            less="closer to layer norm",
            why="32, the paper's; it must divide the channels",
        ),
    ] = 32

    @override
    def init(self, key: Array, x: Spec) -> Init:
        self._groups(x.shape[-1])
        return self.first(key, tuple(x.shape[-1:]))

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_features(x, x.shape[-1])
        wide = widened(x)
        xhat, inverse = standardise(self._split(wide), PLACES_AND_GROUP, self.eps)
        xhat = xhat.reshape(x.shape)
        return Forward(scaled(params, xhat).astype(x.dtype), (xhat, inverse))

    @override
    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        xhat, inverse = tape
        g, grads = scaled_backward(params, dy.astype(xhat.dtype), xhat)
        dx = standardise_backward(self._split(g), self._split(xhat), inverse, PLACES_AND_GROUP)
        return Backward((dx.reshape(dy.shape).astype(dy.dtype),), grads)

    def _groups(self, channels: int) -> int:
        if channels % self.groups:
            raise ShapeError(f"groups {self.groups} do not divide {channels} channels")
        return self.groups

    def _split(self, x: Array) -> Array:
        """Return x as [batch, positions, groups, channels of a group]."""
        groups = self._groups(x.shape[-1])
        return x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)
