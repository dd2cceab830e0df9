"""Convolution of sequences."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import examples, layers
from retrograd.network.layers.convolution.conv2d import Conv2D
from retrograd.network.layers.convolution.convolution import Convolution


@layers.register(
    "conv1d",
    examples=examples(
        ({"filters": 3}, [(2, 7, 2)]),
        ({"filters": 2, "kernel": 4, "stride": 3, "padding": "valid"}, [(1, 9, 8)]),
        ({"filters": 2, "kernel": 3, "dilation": 2, "padding": "causal", "bias": False}, [(2, 5, 9)]),
        ({"filters": 4, "kernel": 2, "stride": 3, "padding": [[2, 1]]}, [(2, 6, 1)]),
        ({"filters": 4, "kernel": [1], "stride": 2, "padding": 0}, [(3, 6, 3)]),
        ({"filters": 4, "groups": "depthwise", "dilation": 2}, [(2, 6, 4)]),
        ({"filters": 6, "groups": 2, "kernel": 2, "stride": 2}, [(2, 5, 4)]),
        ({"filters": 2, "kernel": 5, "padding": [[3, 2]], "padding_mode": "circular", "stride": 2}, [(2, 4, 3)]),
    ),
)
@dataclass(frozen=True)
class Conv1D(Convolution):
    """Slide a small window of weights over a sequence; each filter gives one channel of the output.

        y[i] = sum over p of x[stride i + dilation p] W[p] + b

    `padding`: `same` (as many outputs as inputs, divided by the stride and rounded up), `valid` (none), `causal` (all
    zeros at the start: no output sees a later input), a number of zeros at both ends, or [[before, after]].
    `groups`, `padding_mode` and the rest are as in conv2d.

    Shapes:  x [batch, length, channels] -> y [batch, length', filters]
    Params:  weight [kernel, channels / groups, filters], bias [filters]
    Tape:    x
    Raises:  ShapeError if the kernel is larger than the padded input, or groups do not divide channels and filters.
    See:     The kernel is not flipped (cross-correlation), as is usual. PyTorch has the channels first, the weight
             as [filters, channels, kernel], and no padding by default; Keras agrees with the layout here.
    """

    axes = 1
    equations = Conv2D.equations
