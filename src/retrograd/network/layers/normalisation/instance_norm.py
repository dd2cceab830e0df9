"""Normalising each channel of each example."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Probability
from retrograd.network.layer import (
    Backward,
    Context,
    Forward,
    Init,
    Params,
    Spec,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.normalisation.normalisation import (
    NEWEST_SHARE,
    Normalisation,
    moved,
    scaled,
    scaled_backward,
    standardise_backward,
    statistics,
    widened,
)


@layers.register(
    "instance_norm",
    examples=examples(
        ({}, [(2, 3, 2, 4)]),
        ({"scale": False, "bias": False, "eps": 1e-3}, [(1, 3, 1)]),
        ({"running": True, "momentum": 0.3}, [(2, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class InstanceNorm(Normalisation):
    """Centre and scale each channel of each example by its mean and variance over all positions.

        y = scale · (x - mean) / sqrt(var + eps) + bias

    With `running`, averages over the training batches replace mean and var when not training, as in batch_norm.

    Shapes:  x [batch, ..., channels] -> y, the same; at least two positions
    Params:  scale [channels], bias [channels]
    State:   with `running`, mean, var [channels]: running averages, starting at 0 and 1
    Tape:    xhat, inverse deviation of each channel of each example, whether mean and var are constants
    Raises:  ShapeError if there is only one position, which would become 0.
    See:     Ulyanov et al. 2016, arXiv:1607.08022. PyTorch has no scale and bias by default; its track_running_stats
             is `running`.
    """

    running: Annotated[
        bool, Words("whether to use running averages when not training", why="false: each example's own statistics")
    ] = False
    momentum: Annotated[Probability, NEWEST_SHARE] = 0.1

    @override
    def init(self, key: Array, x: Spec) -> Init:
        shape = tuple(x.shape[-1:])
        state = {"mean": jnp.zeros(shape, jnp.float32), "var": jnp.ones(shape, jnp.float32)} if self.running else {}
        return Init(self.first(key, shape).params, state)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        if (count := math.prod(x.shape[1:-1])) < 2:
            raise ShapeError(f"instance norm needs more than 1 value per channel and example, got {tuple(x.shape)}",
                             cure="layer_norm normalises rows of features")  # fmt: skip
        wide, constant = widened(x), self.running and not ctx.train
        if constant:
            mean, var = (state[name].astype(wide.dtype) for name in ("mean", "var"))
        else:
            mean, var = statistics(wide, _places(x))
        if self.running and ctx.train:
            batch = {"mean": mean, "var": var * (count / (count - 1))}
            outer = tuple(range(x.ndim - 1))
            state = {name: moved(old, jnp.mean(batch[name], outer), self.momentum) for name, old in state.items()}
        inverse = lax.rsqrt(var + self.eps)
        xhat = (wide - mean) * inverse
        return Forward(scaled(params, xhat).astype(x.dtype), (xhat, inverse, Static(constant)), state)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        xhat, inverse, constant = tape
        g, grads = scaled_backward(params, dy.astype(xhat.dtype), xhat)
        dx = g * inverse if constant.value else standardise_backward(g, xhat, inverse, _places(dy))
        return Backward((dx.astype(dy.dtype),), grads)


def _places(x: Array) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))
