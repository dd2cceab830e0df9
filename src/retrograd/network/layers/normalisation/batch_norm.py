"""Normalising each channel over the batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Probability
from retrograd.network.layer import (
    Backward,
    Context,
    Forward,
    Init,
    Input,
    Params,
    Spec,
    State,
    Static,
    examples,
    expect_features,
    layers,
)
from retrograd.network.layers.normalisation.normalisation import (
    NEWEST_SHARE,
    Normalisation,
    moved,
    scaled,
    scaled_backward,
    standardise_backward,
    widened,
)


@layers.register(
    "batch_norm",
    examples=examples(
        ({}, [(5, 3)]),
        ({"momentum": 0.3, "eps": 1e-3}, [(1, 3, 2, 4)]),
        ({"scale": False, "bias": False}, [(2, 3, 2)]),
        ({"momentum": None}, [(3, 4, 2), Input((3, 4), "mask")]),
    ),
)
@dataclass(frozen=True)
class BatchNorm(Normalisation):
    """Centre and scale each channel by its mean and variance over the batch and all positions.

        y = scale · (x - mean) / sqrt(var + eps) + bias

    When training, mean and var are the batch's; otherwise the running ones, which are then constants.
    After each training batch: running = (1 - momentum) · running + momentum · the batch's. With `momentum: null` all
    batches have equal weight: that of the newest is 1 / their number. A batch with fewer than two unmasked values
    has no variance, and does not count.

    Shapes:  x [batch, ..., channels], [mask [batch, ...], true where a position counts in mean and var] -> y, as x
    Params:  scale [channels], bias [channels]
    State:   mean, var [channels]: running averages, starting at 0 and 1; without momentum, the number of batches
    Tape:    x, mean, inverse deviation, whether training, mask
    Raises:  ShapeError: in training, a single value of a channel has no variance.
    See:     Ioffe & Szegedy 2015, arXiv:1502.03167, section 3. As in PyTorch the batch is divided by the biased
             deviation, and the running variance keeps the unbiased one (divided by n - 1). Keras: momentum 0.99 means
             0.01 here, eps 1e-3, biased.
    """

    momentum: Annotated[Probability | None, NEWEST_SHARE] = 0.1

    mixes_batch: ClassVar[bool] = True

    @override
    def init(self, key: Array, x: Spec, *mask: Spec) -> Init:
        shape = tuple(x.shape[-1:])
        state = {"mean": jnp.zeros(shape, jnp.float32), "var": jnp.ones(shape, jnp.float32)}
        if self.momentum is None:
            state["batches"] = jnp.zeros((), jnp.float32)
        return Init(self.first(key, shape).params, state)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array, *mask: Array) -> Forward:
        expect_features(x, state["mean"].shape[0])
        wide, counts = widened(x), self._counts(x, *mask)
        if ctx.train and counts is not None:
            total = jnp.maximum(jnp.sum(counts), 1)
            outer = tuple(range(x.ndim - 1))
            mean = jnp.sum(wide * counts, outer) / total
            var = jnp.sum(jnp.square(wide - mean) * counts, outer) / total
            after = self._updated(state, mean, var * (total / jnp.maximum(total - 1, 1)))
            state = {name: jnp.where(total > 1, after[name], old) for name, old in state.items()}
        elif ctx.train:
            mean, var = lax.optimization_barrier(batch_statistics(wide))
            count = x.size // x.shape[-1]
            if count < 2:
                message = "batch norm needs more than 1 value per channel in training"
                raise ShapeError(message, cure="use a larger batch")
            state = self._updated(state, mean, var * (count / (count - 1)))
        else:
            mean, var = (state[name].astype(wide.dtype) for name in ("mean", "var"))
        inverse = lax.rsqrt(var + self.eps)
        y = scaled(params, (wide - mean) * inverse)
        return Forward(y.astype(x.dtype), (x, mean, inverse, Static(ctx.train), counts), state)

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """Training: with g = scale dy, dx = (g - mean(g) - xhat mean(g xhat)) / sqrt(var + eps).

        Otherwise mean and var are constants: dx = g / sqrt(var + eps). In both dscale = the sum of dy xhat.
        """
        x, mean, inverse, train, counts = tape
        xhat = (widened(x) - mean) * inverse
        g, grads = scaled_backward(params, widened(dy), xhat)
        outer = tuple(range(x.ndim - 1))
        if train.value and counts is not None:  # masked values depend on mean and var, but do not affect them
            share = counts / jnp.maximum(jnp.sum(counts), 1)
            dx = inverse * (g - share * (jnp.sum(g, outer) + xhat * jnp.sum(g * xhat, outer)))
        else:
            dx = standardise_backward(g, xhat, inverse, outer) if train.value else g * inverse
        return Backward((dx.astype(dy.dtype),) if counts is None else (dx.astype(dy.dtype), None), grads)

    def _counts(self, x: Array, *mask: Array) -> Array | None:
        """Return 1 for each position that counts, 0 for others [batch, ..., 1]; None if all count."""
        if not mask:
            return None
        if mask[0].shape != x.shape[:-1]:
            raise ShapeError(f"expected a mask of shape {x.shape[:-1]}, got {mask[0].shape}",
                             cure="give one true or false per position")  # fmt: skip
        return mask[0].astype(widened(x).dtype)[..., None]

    def _updated(self, state: State, mean: Array, var: Array) -> State:
        """Return the running statistics after a batch with this mean and (unbiased) variance."""
        after = {} if self.momentum is not None else {"batches": state["batches"] + 1}
        share = self.momentum if self.momentum is not None else 1 / after["batches"]
        return after | {name: moved(state[name], new, share) for name, new in (("mean", mean), ("var", var))}


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Return mean and biased variance of each channel from one pass of sums.

    mean(d²) - mean(d)² loses digits if the mean is far from 0, so d is the distance from the mean of the first eighth
    of the batch, which is always within sqrt(8 var) of the mean; less than one digit is lost.
    """
    axes = tuple(range(x.ndim - 1))
    pivot = lax.stop_gradient(jnp.mean(x[: math.ceil(len(x) / 8)], axes))
    distance = x - pivot
    mean, square = jnp.mean(distance, axes), jnp.mean(jnp.square(distance), axes)
    return pivot + mean, square - jnp.square(mean)
