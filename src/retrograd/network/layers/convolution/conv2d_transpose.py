"""Transposed convolution of images: a convolution's way back, as a layer that enlarges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Expect, Registered, Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import NonNegativeInt
from retrograd.network.initializers import FIRST_BIAS, FIRST_WEIGHT, GlorotUniform, Initial, InitialOrNone, Zeros, draw
from retrograd.network.layer import (
    ACTIVATION_BEHIND,
    Activation,
    Backward,
    Context,
    Equations,
    Forward,
    Init,
    Layer,
    Params,
    Spec,
    State,
    Units,
    examples,
    layers,
    rows,
)
from retrograd.network.layers.convolution.convolution import convolve, data_gradient, weight_gradient
from retrograd.network.layers.shared.window import (
    Lengths,
    Padding,
    Window,
    axis_margins,
    each_axis,
    expect_axes,
    place_window,
)

ZEROS = Zeros()
Lengthening = Annotated[
    NonNegativeInt | tuple[NonNegativeInt, ...], Expect("an integer, 0 or larger, or a list of one for each axis")
]


@layers.register(
    "conv2d_transpose",
    examples=examples(
        ({"filters": 3, "stride": 2}, [(2, 3, 4, 2)]),
        ({"filters": 2, "kernel": [2, 4], "stride": [3, 2], "padding": "valid"}, [(1, 2, 3, 1)]),
        ({"filters": 2, "stride": 2, "padding": 1, "output_padding": 1, "bias": False}, [(2, 4, 3, 3)]),
        ({"filters": 9, "kernel": 1, "padding": 0}, [(2, 3, 2, 4)]),
    ),
)
@dataclass(frozen=True)
class Conv2DTranspose(Layer):
    """Lay a small window of weights, times each input, into a larger image and add up: the adjoint of conv2d.

        y[stride i + p] = sum over the i and p that meet there of x[i] W[p], + b

    An axis of length n becomes stride · n under `same`; else stride · (n - 1) + kernel, less the `padding` (numbers
    that are cut off at both ends), plus `output_padding` at its end.

    Shapes:  x [batch, height, width, channels] -> y [batch, height', width', filters]
    Params:  weight [*kernel, channels, filters], bias [filters]
    Tape:    x
    Raises:  ShapeError when the padding cuts everything off.
    See:     Dumoulin & Visin 2016, arXiv:1603.07285. PyTorch has the channels first, the weight as
             [channels, filters, *kernel], and no padding by default; Keras stores [*kernel, filters, channels].
    """

    filters: Annotated[
        Units, Words("channels of the output", more="more patterns; slower", less="faster, fewer patterns")
    ]
    kernel: Annotated[
        Lengths,
        Words(
            "places that one input reaches, along each axis",
            more="smoother; more weights",
            less="fewer weights",
        ),
    ] = 3
    stride: Annotated[
        Lengths,
        Words(
            "how many times larger than the input the output is",
            more="larger output",
            less="smaller output",
            why="1: as large as the input",
        ),
    ] = 1
    padding: Annotated[
        Padding,
        Words(
            "how much is cut off at the borders",
            more="smaller output",
            less="larger output",
            why="same: the input's size times the stride",
        ),
    ] = "same"
    output_padding: Annotated[
        Lengthening,
        Words(
            "places added at one end, where a stride leaves the size open",
            more="larger output",
            less="smaller output",
        ),
    ] = 0
    activation: Annotated[Layer | None, Registered(layers, only=Activation), ACTIVATION_BEHIND] = None
    weight: Annotated[Initial, FIRST_WEIGHT] = None  # None: chosen by the activation that follows
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS

    multiplies = True
    equations = Equations(
        forward="y = x (spread by the stride) ∗ W + b",
        backward=("dx = dy ⋆ W", "dW = x ⋆ dy", "db = sum of dy over batch and places"),
        latex_forward=r"y_k = \textstyle\sum_{si + p = k} x_i W_p + b",
        latex_backward=(
            r"\delta_{x_i} = \textstyle\sum_p \delta_{y_{si + p}} W_p^\top",
            r"\nabla_{W_p} = \textstyle\sum_i x_i^\top \delta_{y_{si + p}}",
            r"\nabla_b = \textstyle\sum_k \delta_{y_k}",
        ),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        for name in ("kernel", "stride", "padding", "output_padding"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != 2:
                yield Problem(name, f"expected one entry for each of 2 axes, found {len(value)}")
                return
        if self.output_padding and self.padding == "same":
            yield Problem("output_padding", "does not go with padding same: the output is stride times the input")
        extra, stride = each_axis(self.output_padding, 2, "output_padding"), each_axis(self.stride, 2, "stride")
        if any(e >= s for e, s in zip(extra, stride, strict=True) if e):
            yield Problem("output_padding", f"expected less than the stride {self.stride}, found {self.output_padding}")

    @override
    def init(self, key: Array, x: Spec) -> Init:
        shape = (*self._window(x).kernel, x.shape[-1], int(self.filters))
        params = {"weight": draw(self.weight or GlorotUniform(), key, "weight", shape)}
        if self.bias:
            params["bias"] = draw(self.bias, key, "bias", shape[-1:])
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        window, weight = self._window(x), params["weight"].astype(x.dtype)
        if weight.shape[-2] != x.shape[-1]:
            raise ShapeError(f"input: expected {weight.shape[-2]} channels, got {x.shape[-1]}")
        y = data_gradient(x, weight.swapaxes(-1, -2), window)
        return Forward(y + params["bias"].astype(x.dtype) if "bias" in params else y, x)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        x, weight = tape, params["weight"]
        window = self._window(x)
        dx = convolve(dy, weight.astype(dy.dtype).swapaxes(-1, -2), window)
        grads = {"weight": weight_gradient(dy, x, window, 1, weight.dtype).swapaxes(-1, -2)}
        if "bias" in params:
            grads["bias"] = rows(dy).sum(0, dtype=params["bias"].dtype)
        return Backward((dx,), grads)

    def _window(self, x: Array | Spec) -> Window:
        """Return how the convolution whose way back this is stands on the output: one window for each input."""
        lengths = expect_axes(x, 2)
        kernel, stride = each_axis(self.kernel, 2, "kernel"), each_axis(self.stride, 2, "stride")
        if self.padding == "same":
            return place_window([n * s for n, s in zip(lengths, stride, strict=True)], kernel, stride, 1, "same")
        margins, extra = axis_margins(self.padding, lengths, kernel, stride), each_axis(self.output_padding, 2, "")
        outputs = [(n - 1) * s + k - low - high + more for n, s, k, (low, high), more
                   in zip(lengths, stride, kernel, margins, extra, strict=True)]  # fmt: skip
        if min(outputs) < 1:
            raise ShapeError(f"padding {self.padding} leaves nothing of the output", where="padding")
        return place_window(outputs, kernel, stride, 1, margins)
