"""Means over a fixed number of regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
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
from retrograd.network.layers.pooling.axis_maps import map_axes
from retrograd.network.layers.shared.window import Lengths, each_axis, expect_axes

Places = Annotated[
    Lengths,
    Words(
        "output positions along each axis, for any input size",
        more="finer output, more inputs for the next layer",
        less="coarser output",
    ),
]


@layers.register(
    "adaptive_average_pool",
    examples=examples(({"output": [3, 2]}, [(2, 5, 7, 2)]), ({"output": 4}, [(1, 3, 2)])),
)
@dataclass(frozen=True)
class AdaptiveAveragePool(Layer):
    """Divide each axis into `output` regions of nearly equal length and take their means, for any input size.

        y[i] = the mean of x from floor(i length / output) up to, not including, ceil((i + 1) length / output)

    Shapes:  x [batch, *positions, channels], of one to three axes -> y, with `output` for each axis
    Tape:    the lengths of the axes of x
    See:     The regions of PyTorch: neighbours share a value where the lengths do not divide.
    """

    output: Places

    equations = Equations(
        forward="y = mean of x over each region",
        backward=("dx = dy / size of the region, summed over the regions that hold x",),
        latex_forward=r"y_i = \frac{1}{n_i} \textstyle\sum_{k \in R_i} x_k",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_{i: k \in R_i} \delta_{y_i} / n_i",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        lengths = expect_axes(x, 1, 2, 3)
        return Forward(map_axes(x, self._means(lengths)), Static(lengths))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((map_axes(dy, [means.T for means in self._means(tape.value)]),))

    def _means(self, lengths: tuple[int, ...]) -> list[np.ndarray]:
        """Return the averaging matrix [output, length] for each axis."""
        return [
            means(n, length) for n, length in zip(each_axis(self.output, len(lengths), "output"), lengths, strict=True)
        ]


def means(outputs: int, length: int) -> np.ndarray:
    """Return the matrix whose rows each average one region."""
    region, place = np.arange(outputs)[:, None], np.arange(length)
    inside = (place >= region * length // outputs) & (place < -(-(region + 1) * length // outputs))
    shares: np.ndarray = inside / inside.sum(1, keepdims=True)
    return shares
