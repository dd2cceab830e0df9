"""Normalising each channel of each example."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Forward, Init, Params, Spec, State, examples, layers
from retrograd.network.layers.normalisation.normalisation import (
    Normalisation,
    scaled,
    scaled_backward,
    standardise,
    standardise_backward,
    widened,
)


@layers.register(
    "instance_norm",
    examples=examples(
        ({}, [(2, 3, 2, 4)]),
        ({"scale": False, "bias": False, "eps": 1e-3}, [(1, 3, 1)]),
    ),
)
@dataclass(frozen=True)
class InstanceNorm(Normalisation):
    """Centre and scale each channel of each example by its mean and variance over all places.

        y = scale · (x - mean) / sqrt(var + eps) + bias

    Shapes:  x [batch, ..., channels] -> y, the same; at least two places
    Params:  scale [channels], bias [channels]
    Tape:    xhat, inverse deviation of each channel of each example
    Raises:  ShapeError when there is a single place: nothing would be left of it.
    See:     Ulyanov et al. 2016, arXiv:1607.08022. PyTorch has no scale and bias unless asked for.
    """

    @override
    def init(self, key: Array, x: Spec) -> Init:
        return self.first(key, tuple(x.shape[-1:]))

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if math.prod(x.shape[1:-1]) < 2:
            raise ShapeError(f"instance norm needs more than 1 value per channel and example, got {tuple(x.shape)}",
                             cure="layer_norm normalises rows of features")  # fmt: skip
        xhat, inverse = standardise(widened(x), _places(x), self.eps)
        return Forward(scaled(params, xhat).astype(x.dtype), (xhat, inverse))

    @override
    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        xhat, inverse = tape
        g, grads = scaled_backward(params, dy.astype(xhat.dtype), xhat)
        return Backward((standardise_backward(g, xhat, inverse, _places(dy)).astype(dy.dtype),), grads)


def _places(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))
