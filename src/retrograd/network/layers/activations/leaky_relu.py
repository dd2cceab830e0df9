"""The rectified linear unit with a leak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Activation, Backward, Context, Equations, Forward, Params, State, examples, layers


@layers.register(
    "leaky_relu", examples=examples(({}, [(5, 4)]), ({"slope": 0.2}, [(1, 3, 1)]), ({"slope": 0}, [(3, 2)]))
)
@dataclass(frozen=True)
class LeakyReLU(Activation):
    """Keep what is positive and a little of what is negative, so that no unit is dead for good.

        y = x where x > 0, else slope * x

    Shapes:  x [batch, ...] -> y, the same
    Tape:    x
    See:     Maas et al. 2013. Slope 0.01 as in PyTorch (Keras 0.3); the derivative at 0 is the slope.
    """

    slope: Annotated[
        NonNegativeFloat,
        Words(
            "slope for negative inputs",
            more="passes more of negative inputs",
            less="nearer to relu",
            why="0.01, PyTorch's; Keras has 0.3",
        ),
    ] = 0.01

    initializer = "he_normal"
    equations = Equations(
        forward="y = x where x > 0, else slope · x",
        backward=("dx = dy where x > 0, else slope · dy",),
        latex_forward=r"y = \max(x, 0) + \alpha \min(x, 0)",
        latex_backward=(r"\delta_x = \delta_y \cdot ([x > 0] + \alpha [x \le 0])",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(jnp.where(x > 0, x, self.slope * x), x)

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dx = dy where x > 0, else slope dy."""
        return Backward((jnp.where(tape > 0, dy, self.slope * dy),))
