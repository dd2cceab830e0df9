"""The base of convolutions over one to three axes: forward, data and weight gradient as products, and the layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Expect, Registered, Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import PositiveInt
from retrograd.native.convolution import (
    NOTHING,
    Epilogue,
    convolve_natively,
    data_gradient_natively,
    weight_gradient_natively,
)
from retrograd.native.matrix import transposed_product
from retrograd.network.initializers import FIRST_BIAS, FIRST_WEIGHT, GlorotUniform, Initial, InitialOrNone, Zeros, draw
from retrograd.network.layer import (
    ACTIVATION_BEHIND,
    Activation,
    Backward,
    Context,
    Forward,
    Init,
    Layer,
    Params,
    Spec,
    State,
    Static,
    Units,
    layers,
    rows,
)
from retrograd.network.layers.activations.relu import relu
from retrograd.network.layers.convolution.borders import PaddingMode, pad, pad_back
from retrograd.network.layers.merging.merge import expect_same_shapes
from retrograd.network.layers.shared.window import (
    CausalPadding,
    Lengths,
    Numbers,
    Window,
    expect_axes,
    place_window,
    views,
)

ZEROS = Zeros()
FEW_VALUES = 32  # if a window sees fewer, one product of all windows is faster than XLA's convolution

Groups = Annotated[PositiveInt | Literal["depthwise"], Expect("a positive integer, or depthwise (one per channel)")]


@dataclass(frozen=True)
class Convolution(Layer):
    """Base of the convolutions: the number of axes is the subclass's."""

    axes: ClassVar[int]
    multiplies = True

    filters: Annotated[
        Units,
        Words("number of output channels", more="distinguishes more patterns; slower", less="faster, fewer patterns"),
    ]
    kernel: Annotated[
        Lengths,
        Words(
            "positions that one output sees, along each axis",
            more="larger receptive field; more weights",
            less="fewer weights; more depth needed",
            why="3: two such layers see as far as one of 5, with fewer weights",
        ),
    ] = 3
    stride: Annotated[
        Lengths,
        Words(
            "positions from one output to the next",
            more="smaller output, less to compute",
            less="finer output",
            why="1: every position",
        ),
    ] = 1
    padding: Annotated[
        CausalPadding,
        Words(
            "positions added at the borders",
            more="larger output",
            less="smaller output",
            why="same: the output is as large as the input (divided by the stride)",
        ),
    ] = "same"
    dilation: Annotated[
        Lengths,
        Words(
            "distance between the positions of a kernel",
            more="sees further with the same number of weights",
            less="sees adjacent positions",
            why="1: neighbours",
        ),
    ] = 1
    groups: Annotated[
        Groups,
        Words(
            "number of groups that channels are divided into, each with separate kernels",
            more="fewer weights; groups do not see each other",
            less="every output sees every channel",
            why="1: every output sees every channel",
        ),
    ] = 1
    activation: Annotated[Layer | None, Registered(layers, only=Activation), ACTIVATION_BEHIND] = None
    weight: Annotated[Initial, FIRST_WEIGHT] = None  # None: chosen by the next activation
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS
    padding_mode: Annotated[PaddingMode, Words("values of the added positions")] = "zeros"

    @override
    def rules(self) -> Iterator[Problem]:
        for name in ("kernel", "stride", "dilation", "padding"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != self.axes:
                yield Problem(name, f"expected one entry for each of {self.axes} axes, found {len(value)}")

    @override
    def init(self, key: Array, x: Spec) -> Init:
        window = self._window(x)
        shape = (
            *window.kernel,
            x.shape[-1] // self._groups(x),
            int(self.filters),
        )
        params = {"weight": draw(self.weight or GlorotUniform(), key, "weight", shape)}
        if self.bias:
            params["bias"] = draw(self.bias, key, "bias", shape[-1:])
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return self.compute(params, x)

    def compute(self, params: Params, x: Array, residual: Array | None = None, relu: bool = False) -> Forward:
        """Return forward's result with a residual added and relu applied, fused where that is faster."""
        window, groups, weight = self._window(x), self._groups(x), params["weight"].astype(x.dtype)
        if weight.shape[-2] * groups != x.shape[-1]:
            raise ShapeError(f"input: expected {weight.shape[-2] * groups} channels, got {x.shape[-1]}")
        tape: Any = x
        if self.padding_mode != "zeros":  # then the padded input is built first, and the window itself has no padding
            borders = Static((x.shape[1:-1], window.padding))
            x = pad(x, window.padding, self.padding_mode)
            window, tape = self._window(x, "valid"), (x, borders)
        if residual is not None:
            expect_same_shapes((Spec((len(x), *window.outputs, weight.shape[-1]), x.dtype), residual))
        bias = params["bias"].astype(x.dtype) if "bias" in params else None
        return Forward(convolve(x, weight, window, groups, Epilogue(bias, residual, relu)), tape)

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dx = dy ∗ flipped W, dW = x ⋆ dy, db = the sum of dy over batch and positions."""
        x, borders = (tape, None) if self.padding_mode == "zeros" else tape
        weight, groups = params["weight"], self._groups(x)
        window = self._window(x, "valid" if borders else self.padding)
        dx = data_gradient(dy, weight.astype(dy.dtype), window, groups)
        if borders:
            lengths, margins = borders.value
            dx = pad_back(dx, lengths, margins, self.padding_mode)
        grads = {"weight": weight_gradient(x, dy, window, groups, weight.dtype)}
        if "bias" in params:
            grads["bias"] = rows(dy).sum(0, dtype=params["bias"].dtype)
        return Backward((dx,), grads)

    def _window(self, x: Array | Spec, padding: str | Numbers | None = None) -> Window:
        padding = self.padding if padding is None else padding
        return place_window(expect_axes(x, self.axes), self.kernel, self.stride, self.dilation, padding)

    def _groups(self, x: Array | Spec) -> int:
        return groups_of(self.groups, x.shape[-1], int(self.filters))


def groups_of(groups: int | str, channels: int, filters: int) -> int:
    """Return the number of groups, or raise ShapeError if it does not divide channels and filters."""
    count = channels if isinstance(groups, str) else groups
    for total, what in ((channels, "channels"), (filters, "filters")):
        if not count or total % count:
            raise ShapeError(f"groups {count} do not divide {total} {what}")
    return count


# ------------------------------------------------------------------------------------------------------ three products


@convolve_natively
def convolve(x: Array, weight: Array, window: Window, groups: int = 1, epilogue: Epilogue = NOTHING) -> Array:
    """Return y[b, i] = the sum over p and c of x[b, stride i + dilation p, c] weight[p, c], then apply `epilogue`."""
    y = _sums(x, weight, window, groups)
    y = y if epilogue.bias is None else y + epilogue.bias
    y = y if epilogue.residual is None else y + epilogue.residual
    return relu(y) if epilogue.relu else y


def _sums(x: Array, weight: Array, window: Window, groups: int) -> Array:
    if _is_depthwise(weight, groups):
        return _depthwise(views(x, window), weight)
    if _is_pointwise(window, groups):
        return views(x, window)[0] @ weight.reshape(weight.shape[-2:])
    return lax.conv_general_dilated(
        x, weight, window.stride, window.padding, rhs_dilation=window.dilation,
        dimension_numbers=_layout("N*C", "*IO", "N*C", window), feature_group_count=groups,
    )  # fmt: skip


@data_gradient_natively
def data_gradient(dy: Array, weight: Array, window: Window, groups: int = 1) -> Array:
    """Return dx: the deltas, spread by the stride, correlated with the flipped kernel, inputs and outputs swapped."""
    if _is_depthwise(weight, groups):
        spread = _spread(dy, window)
        sliding = place_window(spread.shape[1:-1], window.kernel, dilation=window.dilation)
        return _depthwise_back(views(spread, sliding), _flipped(weight), groups)
    if _is_pointwise(window, groups):
        return _spread(dy @ weight.reshape(weight.shape[-2:]).T, window)
    parted = _flipped(weight).reshape(*weight.shape[:-1], groups, -1)  # [*kernel, in a group, groups, out of a group]
    swapped = parted.swapaxes(-1, -3).reshape(*weight.shape[:-2], parted.shape[-1], -1)
    return lax.conv_general_dilated(
        dy, swapped, (1,) * len(window.kernel), [(before, after) for before, after, _ in window.spread],
        lhs_dilation=window.stride, rhs_dilation=window.dilation,
        dimension_numbers=_layout("N*C", "*IO", "N*C", window), feature_group_count=groups,
    )  # fmt: skip


@weight_gradient_natively
def weight_gradient(x: Array, dy: Array, window: Window, groups: int, dtype: jnp.dtype) -> Array:
    """Return dweight[p] = the sum over batch and positions i of x[stride i + dilation p]ᵀ dy[i]."""
    channels, filters = x.shape[-1], dy.shape[-1]
    shape = (*window.kernel, channels // groups, filters)
    if 1 < groups == channels:  # depthwise
        deltas, outer = dy.reshape(*dy.shape[:-1], channels, -1), tuple(range(dy.ndim - 1))
        sums = [jnp.sum(seen[..., None] * deltas, outer, dtype) for seen in views(x, window)]
        return jnp.stack(sums).reshape(shape)
    if _is_pointwise(window, groups):
        return transposed_product(views(x, window)[0], dy, dtype).reshape(shape)
    if groups == 1 and channels * math.prod(window.kernel) < FEW_VALUES:  # im2col: one row per window
        return transposed_product(jnp.concatenate(views(x, window), -1), dy, dtype).reshape(shape)
    return lax.conv_general_dilated(
        x, dy, window.dilation, window.margins, rhs_dilation=window.stride, batch_group_count=groups,
        dimension_numbers=_layout("C*N", "I*O", "*NC", window), preferred_element_type=dtype,
    )  # fmt: skip


def _depthwise(seen: list[Array], weight: Array) -> Array:
    """Return y[.., c m + j] = the sum over p of x[p, c] weight[p, c m + j]; XLA's own way is tens of times slower."""
    factors = weight.reshape(len(seen), seen[0].shape[-1], -1)
    y: Array = sum(x[..., None] * factor for x, factor in zip(seen, factors, strict=True))
    return y.reshape(*y.shape[:-2], -1)


def _depthwise_back(seen: list[Array], weight: Array, channels: int) -> Array:
    """Return dx[c] = the sum over p and j of dy[p, c m + j] weight[p, c m + j]."""
    factors = weight.reshape(len(seen), channels, -1)
    products = (dy.reshape(*dy.shape[:-1], channels, -1) * f for dy, f in zip(seen, factors, strict=True))
    dx: Array = sum(products).sum(-1)
    return dx


def _is_depthwise(weight: Array, groups: int) -> bool:
    return groups > 1 and weight.shape[-2] == 1


def _is_pointwise(window: Window, groups: int) -> bool:
    """Return whether the kernel is a single entry without padding: then a plain product is twice as fast."""
    return groups == 1 and set(window.kernel) == {1} and all(pair == (0, 0) for pair in window.padding)


def _flipped(weight: Array) -> Array:
    """Return the kernel reversed along each of its axes."""
    return jnp.flip(weight, range(weight.ndim - 2))


def _spread(dy: Array, window: Window) -> Array:
    """Return the deltas with zeros between and around them, as needed by a kernel with stride 1."""
    return lax.pad(dy, jnp.zeros((), dy.dtype), [(0, 0, 0), *window.spread, (0, 0, 0)])


def _layout(x: str, weight: str, y: str, window: Window) -> tuple[str, str, str]:
    """Return the order of axes in XLA's notation, with * standing for the window's axes."""
    x, weight, y = (axes.replace("*", "DHW"[-len(window.kernel) :]) for axes in (x, weight, y))
    return x, weight, y
