"""Transposed convolution of sequences."""

from __future__ import annotations

from dataclasses import dataclass

from retrograd.network.layer import examples, layers
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose


@layers.register(
    "conv1d_transpose",
    examples=examples(
        ({"filters": 3, "stride": 2}, [(2, 4, 2)]),
        (
            {"filters": 4, "kernel": 2, "stride": 3, "dilation": 2, "groups": "depthwise", "padding": [[1, 0]]},
            [(1, 3, 2)],
        ),
    ),
)
@dataclass(frozen=True)
class Conv1DTranspose(ConvolutionTranspose):
    """Place a small window of weights, times each input, in a larger sequence and add up: the adjoint of conv1d.

        y[stride i + p] = sum over the i and p that meet there of x[i] W[p], + b

    The settings and the output length are as in conv2d_transpose.

    Shapes:  x [batch, length, channels] -> y [batch, length', filters]
    Params:  weight [*kernel, channels, filters / groups], bias [filters]
    Tape:    x
    Raises:  ShapeError if the padding cuts everything off.
    See:     conv2d_transpose, for the layout and how it differs in PyTorch and Keras.
    """

    axes = 1
