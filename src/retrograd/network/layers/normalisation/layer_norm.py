"""Normalising each row by its own mean and variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jax import Array
from typing_extensions import override

from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import Backward, Context, Forward, Init, Params, Spec, State, examples, layers
from retrograd.network.layers.normalisation.normalisation import (
    LAST_AXES,
    Normalisation,
    expect_last,
    last,
    scaled,
    scaled_backward,
    standardise,
    standardise_backward,
    widened,
)


@layers.register(
    "layer_norm",
    examples=examples(
        ({}, [(3, 5)]),
        ({"axes": 2, "eps": 0.1}, [(1, 2, 3, 4)]),
        ({"scale": False, "bias": False}, [(2, 3, 4)]),
    ),
)
@dataclass(frozen=True)
class LayerNorm(Normalisation):
    """Centre and scale each row by its own mean and variance, over the last axis or the last few.

        y = scale · (x - mean) / sqrt(var + eps) + bias

    Shapes:  x [batch, ..., features] -> y, the same
    Params:  scale, bias: [features], or the lengths of the last `axes` axes
    Tape:    xhat, inverse deviation of each row
    Raises:  ShapeError if x has no axis left for the batch.
    See:     Ba et al. 2016, arXiv:1607.06450. The variance is the biased one; eps as in PyTorch (Keras 1e-3).
    """

    axes: Annotated[PositiveInt, LAST_AXES] = 1

    @override
    def init(self, key: Array, x: Spec) -> Init:
        expect_last(x, self.axes)
        return self.first(key, tuple(x.shape[-self.axes :]))

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_last(x, self.axes)
        xhat, inverse = standardise(widened(x), last(self.axes), self.eps)
        return Forward(scaled(params, xhat).astype(x.dtype), (xhat, inverse))

    @override
    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        xhat, inverse = tape
        g, grads = scaled_backward(params, dy.astype(xhat.dtype), xhat)
        return Backward((standardise_backward(g, xhat, inverse, last(self.axes)).astype(dy.dtype),), grads)
