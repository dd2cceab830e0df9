"""The larger, or the smaller, of several inputs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, ClassVar

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.merging.merge import Merge

EXAMPLES = examples(({}, [(3, 4), (3, 4)]), ({}, [(1, 2, 1), (1, 2, 1), (1, 2, 1)]))


@dataclass(frozen=True)
class Extreme(Merge):
    """Base of the two: `choose` keeps one value of each pair, which gets the delta."""

    choose: ClassVar[Any]  # of two arrays

    @override
    def value(self, *inputs: Array) -> tuple[Array, Any]:
        y = functools.reduce(type(self).choose, inputs)
        return y, (inputs, y)

    @override
    def deltas(self, kept: Any, dy: Array, count: int) -> tuple[Array, ...]:
        inputs, y = kept
        winners = [x == y for x in inputs]
        share = dy / jnp.maximum(sum(hit.astype(dy.dtype) for hit in winners), 1)  # none where y is NaN
        return tuple(jnp.where(hit, share, jnp.zeros_like(dy)) for hit in winners)


@layers.register("maximum", examples=EXAMPLES)
@dataclass(frozen=True)
class Maximum(Extreme):
    """Keep the largest of inputs of one shape, element by element.

        y = max(x1, x2, ...)

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    every x, y
    Raises:  ShapeError if the shapes differ, unless `broadcast` repeats axes that are 1 or missing.
    See:     Equal values share the delta, as in PyTorch.
    """

    choose = jnp.maximum
    equations = Equations(
        forward="y = max(x₁, x₂, ...)",
        backward=("dxᵢ = dy / (how many equal y) where xᵢ = y, else 0",),
        latex_forward=r"y = \max_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y [x_i = y] / \textstyle\sum_j [x_j = y]",),
    )


@layers.register("minimum", examples=EXAMPLES)
@dataclass(frozen=True)
class Minimum(Extreme):
    """Keep the smallest of inputs of one shape, element by element.

        y = min(x1, x2, ...)

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    every x, y
    Raises:  ShapeError if the shapes differ, unless `broadcast` repeats axes that are 1 or missing.
    See:     Equal values share the delta, as in PyTorch.
    """

    choose = jnp.minimum
    equations = Equations(
        forward="y = min(x₁, x₂, ...)",
        backward=("dxᵢ = dy / (how many equal y) where xᵢ = y, else 0",),
        latex_forward=r"y = \min_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y [x_i = y] / \textstyle\sum_j [x_j = y]",),
    )
