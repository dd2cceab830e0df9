"""Convolution of volumes."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import examples, layers
from retrograd.network.layers.convolution.conv2d import Conv2D
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.shared.window import Padding


@layers.register(
    "conv3d",
    examples=examples(
        ({"filters": 3, "kernel": 2, "stride": [1, 2, 1]}, [(2, 2, 3, 4, 2)]),
        ({"filters": 2, "kernel": [1, 3, 2], "padding": [[0, 1], 1, 0], "dilation": [1, 1, 2]}, [(1, 2, 3, 4, 1)]),
        ({"filters": 4, "groups": 2, "kernel": [2, 1, 1], "padding_mode": "circular"}, [(1, 2, 2, 1, 4)]),
    ),
)
@dataclass(frozen=True)
class Conv3D(Convolution):
    """Slide a small window of weights over a volume, or over a sequence of images.

        y[i, j, k] = sum over p, q, r of x[stride i + dilation p, ...] W[p, q, r] + b

    The settings are those of conv2d, with one entry for each of three axes.

    Shapes:  x [batch, depth, height, width, channels] -> y [batch, depth', height', width', filters]
    Params:  weight [*kernel, channels / groups, filters], bias [filters]
    Tape:    x (with its copied margins)
    Raises:  ShapeError if the kernel is larger than the padded input, or groups do not divide channels and filters.
    See:     conv2d, for the layout and how it differs in PyTorch and Keras.
    """

    padding: Padding = "same"

    axes = 3
    equations = Conv2D.equations
