"""The product of several inputs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.add import expect_same_shapes


@layers.register("multiply", examples=examples(({}, [(3, 4), (3, 4)]), ({}, [(1, 2, 1), (1, 2, 1), (1, 2, 1)])))
@dataclass(frozen=True)
class Multiply(Layer):
    """Multiply inputs of one shape element by element: gates and masks.

        y = x1 * x2 * ...

    Shapes:  each x [batch, ...] -> y, the same
    Tape:    every x
    Raises:  ShapeError when the shapes differ: nothing is broadcast.
    """

    equations = Equations(
        forward="y = x₁ · x₂ · ...",
        backward=("dxᵢ = dy · the product of the other x",),
        latex_forward=r"y = \textstyle\prod_i x_i",
        latex_backward=(r"\delta_{x_i} = \delta_y \textstyle\prod_{j \ne i} x_j",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        expect_same_shapes(inputs)
        return Forward(functools.reduce(jnp.multiply, inputs), inputs)

    @override
    def backward(self, params: Params, tape: tuple[Array, ...], dy: Array) -> Backward:  # not y / x_i: it fails at 0
        return Backward(tuple(functools.reduce(jnp.multiply, tape[:i] + tape[i + 1 :], dy) for i in range(len(tape))))
