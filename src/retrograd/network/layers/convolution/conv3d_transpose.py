"""Transposed convolution of volumes."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import examples, layers
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose


@layers.register(
    "conv3d_transpose",
    examples=examples(
        ({"filters": 2, "kernel": 2, "stride": 2}, [(2, 1, 2, 2, 3)]),
        ({"filters": 2, "kernel": [2, 1, 2], "padding": 0, "stride": [1, 2, 1], "bias": False}, [(1, 2, 2, 1, 2)]),
    ),
)
@dataclass(frozen=True)
class Conv3DTranspose(ConvolutionTranspose):
    """Place a small window of weights, times each input, in a larger volume and add up: the adjoint of conv3d.

        y[stride i + p] = sum over the i and p that meet there of x[i] W[p], + b

    The settings and the output lengths are as in conv2d_transpose.

    Shapes:  x [batch, depth, height, width, channels] -> y [batch, depth', height', width', filters]
    Params:  weight [*kernel, channels, filters / groups], bias [filters]
    Tape:    x
    Raises:  ShapeError if the padding cuts everything off.
    See:     conv2d_transpose, for the layout and how it differs in PyTorch and Keras.
    """

    axes = 3
