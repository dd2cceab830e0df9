"""Dividing each value by the strength of neighbouring channels."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, ClassVar

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat, PositiveInt
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.normalisation.normalisation import widened


@layers.register(
    "local_response_norm",
    examples=examples(({}, [(2, 3, 2, 6)]), ({"size": 4, "alpha": 0.5, "beta": 0.5, "k": 2.0}, [(1, 3)])),
)
@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """Divide each value by a power of the mean square of the channels around it.

        y = x / s^beta,  s = k + alpha / size · sum of x² over `size` channels

    Shapes:  x [batch, ..., channels] -> y, the same
    Tape:    x, s
    See:     Krizhevsky et al. 2012 (AlexNet), in PyTorch's form, as is ONNX's LRN. TensorFlow's depth_radius is
             (size - 1) / 2, and its alpha is not divided by the size.
    """

    size: Annotated[
        PositiveInt, Words("channels in the window", more="a wider neighbourhood", less="a narrower one")
    ] = 5
    alpha: Annotated[PositiveFloat, Words("how much neighbours count", more="stronger", less="weaker")] = 1e-4
    beta: Annotated[PositiveFloat, Words("power of the divisor", more="stronger", less="weaker")] = 0.75
    k: Annotated[PositiveFloat, Words("the divisor if all channels are 0", more="smaller outputs", less="larger")] = 1.0

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = x / s^beta, s = k + alpha / size · Σ x² over `size` channels",
        backward=("dx = dy / s^beta - 2 alpha beta / size · x · Σ dy x / s^(beta + 1) over the windows that see x",),
        latex_forward=r"y_c = x_c s_c^{-\beta}, \quad s_c = k + \tfrac{\alpha}{n} \textstyle\sum_{j \sim c} x_j^2",
        latex_backward=(
            r"\delta_{x_j} = \delta_{y_j} s_j^{-\beta}"
            r" - \tfrac{2 \alpha \beta}{n} x_j \textstyle\sum_{c \sim j} \delta_{y_c} x_c s_c^{-\beta - 1}",
        ),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        wide = widened(x)
        s = self.k + self.alpha / self.size * window_sums(jnp.square(wide), self.size // 2, (self.size - 1) // 2)
        return Forward((wide * s**-self.beta).astype(x.dtype), (wide, s))

    @override
    def backward(self, params: Params, tape: tuple[Array, Array], dy: Array) -> Backward:
        x, s = tape
        g = dy.astype(x.dtype)
        along = window_sums(g * x * s ** (-self.beta - 1), (self.size - 1) // 2, self.size // 2)
        dx = g * s**-self.beta - 2 * self.alpha * self.beta / self.size * x * along
        return Backward((dx.astype(dy.dtype),))


def window_sums(x: Array, before: int, after: int) -> Array:
    """Return for each channel the sum over a window of `before` and `after` neighbours, cut off at the ends."""
    padded = jnp.pad(x, [*[(0, 0)] * (x.ndim - 1), (before, after)])
    channels = x.shape[-1]
    return functools.reduce(jnp.add, [padded[..., i : i + channels] for i in range(before + after + 1)])
