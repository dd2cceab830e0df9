"""Sinusoidal positions."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, Spec, State, examples, layers

SLOWEST = 10000.0  # wavelengths range from 2π to 10000 · 2π steps


@layers.register("positions", examples=examples(({}, [(2, 5, 4)]), ({}, [(1, 1, 3)])))
@dataclass(frozen=True)
class Positions(Layer):
    """Add a pattern of waves that marks its position to each step of a sequence.

        y(t) = x(t) + p(t),  p(t, 2i) = sin(t / 10000^(2i/features)),  p(t, 2i+1) = cos of the same

    Shapes:  x [batch, time, features] -> y, the same
    Raises:  ShapeError if x is not a sequence.
    See:     Vaswani et al. 2017, arXiv:1706.03762, section 3.5. It has no parameters and no maximum length; the initial
             embeddings should not be much smaller than the waves. `learned_positions` learns them instead.
    """

    equations = Equations(
        forward="y(t) = x(t) + p(t), p(t, 2i) = sin(t / 10000^(2i/n)), p(t, 2i+1) = cos(t / 10000^(2i/n))",
        backward=("dx = dy",),
        latex_forward=r"y_t = x_t + p_t, \quad p_{t, 2i} = \sin(t / 10000^{2i/n}), "
        r"\quad p_{t, 2i+1} = \cos(t / 10000^{2i/n})",
        latex_backward=(r"\delta_x = \delta_y",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        expect_sequence(x)
        return Forward(x + jnp.asarray(waves(*x.shape[1:])[None], x.dtype))

    @override
    def backward(self, params: Params, tape: None, dy: Array) -> Backward:
        return Backward((dy,))


def waves(time: int, features: int) -> np.ndarray:
    """Return p [time, features]."""
    pair = np.arange(features) // 2
    angle = np.arange(time)[:, None] * SLOWEST ** (-2 * pair / features)
    return np.where(np.arange(features) % 2 == 0, np.sin(angle), np.cos(angle))


def expect_sequence(x: Array | Spec) -> None:
    """Raise ShapeError unless x has the axes batch, time and features."""
    if x.ndim != 3:
        raise ShapeError(f"expected (batch, time, features), got {tuple(x.shape)}", cure="put an embedding before it")
