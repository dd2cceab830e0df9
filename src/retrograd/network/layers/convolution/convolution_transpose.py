"""The base of transposed convolutions over one to three axes: windows placed in a larger output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

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
    layers,
    rows,
)
from retrograd.network.layers.convolution.convolution import (
    Groups,
    convolve,
    data_gradient,
    groups_of,
    weight_gradient,
)
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
    NonNegativeInt | tuple[NonNegativeInt, ...], Expect("a non-negative integer, or a list of one for each axis")
]


@dataclass(frozen=True)
class ConvolutionTranspose(Layer):
    """Base of the transposed convolutions: the number of axes is the subclass's."""

    filters: Annotated[
        Units, Words("number of output channels", more="more patterns; slower", less="faster, fewer patterns")
    ]
    kernel: Annotated[
        Lengths,
        Words(
            "positions that one input reaches, along each axis",
            more="smoother; more weights",
            less="fewer weights",
        ),
    ] = 3
    stride: Annotated[
        Lengths,
        Words(
            "ratio of output size to input size",
            more="larger output",
            less="smaller output",
            why="1: as large as the input",
        ),
    ] = 1
    padding: Annotated[
        Padding,
        Words(
            "number of positions cut off at the borders",
            more="smaller output",
            less="larger output",
            why="same: the input's size times the stride",
        ),
    ] = "same"
    output_padding: Annotated[
        Lengthening,
        Words(
            "positions added at one end, since a stride leaves the size ambiguous",
            more="larger output",
            less="smaller output",
        ),
    ] = 0
    activation: Annotated[Layer | None, Registered(layers, only=Activation), ACTIVATION_BEHIND] = None
    weight: Annotated[Initial, FIRST_WEIGHT] = None  # None: chosen by the next activation
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS

    dilation: Annotated[
        Lengths,
        Words(
            "distance between the positions that one input reaches",
            more="reaches further",
            less="reaches adjacent positions",
        ),
    ] = 1
    groups: Annotated[
        Groups,
        Words(
            "number of groups that channels are divided into, each with separate kernels",
            more="fewer weights; groups do not see each other",
            less="every output sees every channel",
        ),
    ] = 1

    axes: ClassVar[int]
    multiplies = True
    equations = Equations(
        forward="y = x (spread by the stride) ∗ W + b",
        backward=("dx = dy ⋆ W", "dW = x ⋆ dy", "db = sum of dy over batch and positions"),
        latex_forward=r"y_k = \textstyle\sum_{si + p = k} x_i W_p + b",
        latex_backward=(
            r"\delta_{x_i} = \textstyle\sum_p \delta_{y_{si + p}} W_p^\top",
            r"\nabla_{W_p} = \textstyle\sum_i x_i^\top \delta_{y_{si + p}}",
            r"\nabla_b = \textstyle\sum_k \delta_{y_k}",
        ),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        for name in ("kernel", "stride", "padding", "output_padding", "dilation"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.axes:
                yield Problem(name, f"expected one entry for each of {self.axes} axes, found {len(value)}")
                return
        if self.output_padding and self.padding == "same":
            yield Problem("output_padding", "is not allowed with padding same: the output is stride times the input")
        extra, stride = self._each("output_padding"), self._each("stride")
        if any(e >= max(s, d) for e, s, d in zip(extra, stride, self._each("dilation"), strict=True) if e):
            yield Problem("output_padding", f"expected less than the stride {self.stride}, found {self.output_padding}")

    @override
    def init(self, key: Array, x: Spec) -> Init:
        groups = groups_of(self.groups, x.shape[-1], int(self.filters))
        shape = (*self._window(x).kernel, x.shape[-1], int(self.filters) // groups)
        params = {"weight": draw(self.weight or GlorotUniform(), key, "weight", shape)}
        if self.bias:
            params["bias"] = draw(self.bias, key, "bias", (int(self.filters),))
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        window, weight = self._window(x), params["weight"].astype(x.dtype)
        if weight.shape[-2] != x.shape[-1]:
            raise ShapeError(f"input: expected {weight.shape[-2]} channels, got {x.shape[-1]}")
        y = data_gradient(x, weight.swapaxes(-1, -2), window, groups_of(self.groups, x.shape[-1], int(self.filters)))
        return Forward(y + params["bias"].astype(x.dtype) if "bias" in params else y, x)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        x, weight = tape, params["weight"]
        window, groups = self._window(x), groups_of(self.groups, x.shape[-1], int(self.filters))
        dx = convolve(dy, weight.astype(dy.dtype).swapaxes(-1, -2), window, groups)
        grads = {"weight": weight_gradient(dy, x, window, groups, weight.dtype).swapaxes(-1, -2)}
        if "bias" in params:
            grads["bias"] = rows(dy).sum(0, dtype=params["bias"].dtype)
        return Backward((dx,), grads)

    def _window(self, x: Array | Spec) -> Window:
        """Return the window, on the output, of the convolution that this is the adjoint of: one position per input."""
        lengths = expect_axes(x, self.axes)
        kernel, stride, dilation = (self._each(name) for name in ("kernel", "stride", "dilation"))
        if self.padding == "same":
            larger = [n * s for n, s in zip(lengths, stride, strict=True)]
            return place_window(larger, kernel, stride, dilation, "same")
        extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        margins = axis_margins(self.padding, lengths, extent, stride)
        outputs = [(n - 1) * s + e - low - high + more for n, s, e, (low, high), more
                   in zip(lengths, stride, extent, margins, self._each("output_padding"), strict=True)]  # fmt: skip
        if min(outputs) < 1:
            raise ShapeError(f"padding {self.padding} leaves nothing of the output", where="padding")
        return place_window(outputs, kernel, stride, dilation, margins)

    def _each(self, name: str) -> tuple[int, ...]:
        """Return a setting as one number for each axis."""
        return each_axis(getattr(self, name), self.axes, name)
