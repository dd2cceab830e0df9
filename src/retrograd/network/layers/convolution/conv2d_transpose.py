"""Transposed convolution of images."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import examples, layers
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose


@layers.register(
    "conv2d_transpose",
    examples=examples(
        ({"filters": 3, "stride": 2}, [(2, 3, 4, 2)]),
        ({"filters": 2, "kernel": [2, 4], "stride": [3, 2], "padding": "valid"}, [(1, 2, 3, 1)]),
        ({"filters": 2, "stride": 2, "padding": 1, "output_padding": 1, "bias": False}, [(2, 4, 3, 3)]),
        ({"filters": 9, "kernel": 1, "padding": 0}, [(2, 3, 2, 4)]),
        ({"filters": 4, "groups": 2, "stride": 2, "dilation": [2, 1]}, [(1, 2, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class Conv2DTranspose(ConvolutionTranspose):
    """Place a small window of weights, times each input, in a larger image and add up: the adjoint of conv2d.

        y[stride i + p] = sum over the i and p that meet there of x[i] W[p], + b

    An axis of length n becomes stride · n under `same`; else stride · (n - 1) + kernel, minus the `padding` (numbers
    of positions cut off at both ends), plus `output_padding` at its end. `dilation` and `groups` are as in conv2d.

    Shapes:  x [batch, height, width, channels] -> y [batch, height', width', filters]
    Params:  weight [*kernel, channels, filters / groups], bias [filters]
    Tape:    x
    Raises:  ShapeError if the padding cuts everything off.
    See:     Dumoulin & Visin 2016, arXiv:1603.07285. PyTorch has the channels first, the weight as
             [channels, filters / groups, *kernel], no padding by default; Keras stores [*kernel, filters, channels].
    """

    axes = 2
