"""Convolution of images."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import Equations, examples, layers
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.shared.window import Padding


@layers.register(
    "conv2d",
    examples=examples(
        ({"filters": 3}, [(2, 5, 6, 2)]),
        ({"filters": 2, "kernel": [2, 3], "stride": 2, "padding": "valid"}, [(1, 6, 5, 9)]),
        ({"filters": 2, "kernel": 4, "stride": [3, 1], "dilation": [1, 2], "bias": False}, [(2, 7, 8, 1)]),
        ({"filters": 3, "kernel": 2, "stride": 3, "padding": [[2, 0], 1]}, [(2, 5, 7, 10)]),
        ({"filters": 4, "kernel": 1, "stride": 2}, [(2, 3, 4, 3)]),
        ({"filters": 6, "groups": "depthwise", "stride": 2}, [(2, 4, 5, 3)]),
        ({"filters": 4, "groups": 2, "kernel": [3, 2], "dilation": 2}, [(2, 4, 5, 6)]),
        ({"filters": 2}, [(1, 3, 3, 130)]),
        ({"filters": 2, "kernel": [3, 4], "padding_mode": "reflect"}, [(1, 4, 5, 2)]),
        ({"filters": 2, "kernel": 3, "padding": [0, [2, 1]], "padding_mode": "replicate"}, [(2, 3, 1, 2)]),
    ),
)
@dataclass(frozen=True)
class Conv2D(Convolution):
    """Slide a small window of weights over an image; each filter gives one channel of the output.

        y[i, j] = sum over p, q of x[stride i + dilation p, stride j + dilation q] W[p, q] + b

    `padding`: `same` (as many outputs as inputs, divided by the stride and rounded up; an odd zero is added at the
    end), `valid` (none), or numbers of zeros. `groups` splits channels and filters, each group seeing only its own
    channels; `depthwise` has one group per channel. `padding_mode`: instead of zeros, the other end (`circular`), the
    mirror image (`reflect`), or the value at the edge (`replicate`).

    Shapes:  x [batch, height, width, channels] -> y [batch, height', width', filters]
    Params:  weight [*kernel, channels / groups, filters], bias [filters]
    Tape:    x (with its copied margins)
    Raises:  ShapeError if the kernel is larger than the padded input, or groups do not divide channels and filters.
    See:     The kernel is not flipped (cross-correlation), as is usual. PyTorch has the channels first, the weight
             as [filters, channels, *kernel], and no padding by default; Keras agrees with the layout here.
    """

    padding: Padding = "same"

    axes = 2
    equations = Equations(
        forward="y = x ⋆ W + b",
        backward=("dx = dy (spread by the stride) ∗ W", "dW = x ⋆ dy", "db = sum of dy over batch and positions"),
        latex_forward=r"y_i = \textstyle\sum_p x_{si + dp} W_p + b",
        latex_backward=(
            r"\delta_{x_k} = \textstyle\sum_{si + dp = k} \delta_{y_i} W_p^\top",
            r"\nabla_{W_p} = \textstyle\sum_i x_{si + dp}^\top \delta_{y_i}",
            r"\nabla_b = \textstyle\sum_i \delta_{y_i}",
        ),
    )
