"""The largest values of a fixed number of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.pooling.adaptive_average_pool import Places, means
from retrograd.network.layers.shared.window import each_axis, expect_axes


@layers.register(
    "adaptive_max_pool",
    examples=examples(({"output": [3, 2]}, [(2, 4, 5, 2)]), ({"output": 4}, [(1, 3, 2)])),
)
@dataclass(frozen=True)
class AdaptiveMaxPool(Layer):
    """Divide each axis into `output` regions of nearly equal length and keep their largest values.

        y[i] = max of x from floor(i length / output) up to, not including, ceil((i + 1) length / output)

    Shapes:  x [batch, *positions, channels], of one to three axes -> y, with `output` for each axis
    Tape:    which position of each region won, axis by axis, the lengths of the axes of x
    See:     The regions of PyTorch: neighbours share a value where the lengths do not divide. Of equal values the first
             one (row by row) gets the delta.
    """

    output: Places

    equations = Equations(
        forward="y = max of x over each region",
        backward=("dx = dy where x is the first to equal y in its region, summed over the regions that hold x",),
        latex_forward=r"y_i = \max_{k \in R_i} x_k",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_i \delta_{y_i} [k = \mathrm{argmax}_{R_i}]",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        lengths = expect_axes(x, 1, 2, 3)
        outputs, winners = each_axis(self.output, len(lengths), "output"), []
        for axis in range(len(lengths), 0, -1):  # the last axis first: of equal values the first row by row wins
            inside = means(outputs[axis - 1], lengths[axis - 1]) > 0
            seen = jnp.where(inside.reshape(*inside.shape, *(1,) * (x.ndim - axis - 1)), jnp.expand_dims(x, axis),
                             jnp.asarray(-jnp.inf, x.dtype))  # fmt: skip
            x = jnp.max(seen, axis + 1)
            first = inside.argmax(1).reshape(*(1,) * axis, -1, *(1,) * (x.ndim - axis - 1))
            winners.append(jnp.where(jnp.isneginf(x), first, jnp.argmax(seen, axis + 1)))  # outside is -infinity too
        return Forward(x, (tuple(winners), Static(lengths)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        winners, static = tape
        for axis, (winner, length) in enumerate(zip(reversed(winners), static.value, strict=True), 1):
            places = jnp.arange(length).reshape(-1, *(1,) * (dy.ndim - axis - 1))
            hits = jnp.expand_dims(winner, axis + 1) == places
            zero = jnp.zeros((), dy.dtype)
            dy = jnp.sum(jnp.where(hits, jnp.expand_dims(dy, axis + 1), zero), axis)
        return Backward((dy,))
