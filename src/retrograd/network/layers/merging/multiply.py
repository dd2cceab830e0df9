"""The product of several inputs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.merging.merge import Merge


@layers.register(
    "multiply",
    examples=examples(
        ({}, [(3, 4), (3, 4)]),
        ({}, [(1, 2, 1), (1, 2, 1), (1, 2, 1)]),
        ({"broadcast": True}, [(2, 3, 2, 4), (2, 4), (2, 3, 1, 1)]),
    ),
)
@dataclass(frozen=True)
class Multiply(Merge):
    """Multiply inputs of one shape element by element: gates and masks.

        y = x1 * x2 * ...

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    every x
    Raises:  ShapeError if the shapes differ, unless `broadcast` repeats axes that are 1 or missing.
    """

    equations = Equations(
        forward="y = x₁ · x₂ · ...",
        backward=("dxᵢ = dy · the product of the other x",),
        latex_forward=r"y = \textstyle\prod_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y \textstyle\prod_{j \ne i} x_j",),
    )

    @override
    def value(self, *inputs: Array) -> tuple[Array, tuple[Array, ...]]:
        return functools.reduce(jnp.multiply, inputs), inputs

    @override
    def deltas(self, kept: tuple[Array, ...], dy: Array, count: int) -> tuple[Array, ...]:
        # not y / x_i: it fails at 0
        return tuple(functools.reduce(jnp.multiply, kept[:i] + kept[i + 1 :], dy) for i in range(count))
