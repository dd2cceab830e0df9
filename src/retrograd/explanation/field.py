"""The receptive field: how much of the input affects one position of an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from retrograd.network.layer import Layer
from retrograd.network.layers import (
    AveragePool,
    GroupNorm,
    InstanceNorm,
    MaxPool,
    MultiHeadAttention,
    Upsample,
)
from retrograd.network.layers.convolution.convolution import Convolution
from retrograd.network.layers.convolution.convolution_transpose import ConvolutionTranspose
from retrograd.network.layers.recurrent.recurrent import Recurrent
from retrograd.network.layers.shared.window import each_axis

WHOLE: tuple[int, ...] = ()  # all of the input


class Field(NamedTuple):
    """The extent along each axis of the input that affects one output position, and the distance to the next field."""

    extent: tuple[int, ...]
    apart: tuple[float, ...]


def first_field(shape: Sequence[int]) -> Field | None:
    """Return the field of an input [batch, positions..., channels]: one position; None if it has no positions."""
    axes = len(shape) - 2
    return Field((1,) * axes, (1.0,) * axes) if axes > 0 else None


def field_behind(layer: Layer, inputs: Sequence[Field | None], before: Any, after: Any) -> Field | None:
    """Return the field after a layer whose (first) input and output have these shapes."""
    known = [field for field in inputs if field is not None]
    axes = len(after) - 2
    if not known or axes < 1 or axes != len(before) - 2:
        return None
    if any(field.extent == WHOLE for field in known) or isinstance(layer, (MultiHeadAttention, Recurrent,
                                                                           InstanceNorm, GroupNorm)):  # fmt: skip
        return Field(WHOLE, (1.0,) * axes)
    extent = tuple(max(extents) for extents in zip(*(field.extent for field in known), strict=True))
    apart = known[0].apart
    steps = window_of(layer, axes)
    if steps is None:
        return Field(extent, apart) if tuple(before[1:-1]) == tuple(after[1:-1]) else None
    if isinstance(layer, (ConvolutionTranspose, Upsample)):  # an output depends on about kernel / stride positions
        places = [-(-k // s) for k, s in steps]
        return Field(tuple(e + int((p - 1) * a) for e, p, a in zip(extent, places, apart, strict=True)),
                     tuple(a / s for a, (_, s) in zip(apart, steps, strict=True)))  # fmt: skip
    return Field(tuple(e + int((k - 1) * a) for e, (k, _), a in zip(extent, steps, apart, strict=True)),
                 tuple(a * s for a, (_, s) in zip(apart, steps, strict=True)))  # fmt: skip


def window_of(layer: Layer, axes: int) -> list[tuple[int, int]] | None:
    """Return the extent and stride of a layer's window along each axis; None for layers without windows."""
    if isinstance(layer, Upsample):
        return [(factor, factor) for factor in each_axis(layer.factor, axes, "factor")]
    if isinstance(layer, (Convolution, ConvolutionTranspose)):
        kernel, stride, dilation = layer.kernel, layer.stride, getattr(layer, "dilation", 1)
    elif isinstance(layer, (MaxPool, AveragePool)):
        kernel, dilation = layer.window, getattr(layer, "dilation", 1)
        stride = layer.window if layer.stride is None else layer.stride
    else:
        return None
    by_axis = [
        each_axis(value, axes, name) for value, name in ((kernel, "kernel"), (stride, "stride"), (dilation, "d"))
    ]
    return [((k - 1) * d + 1, s) for k, s, d in zip(*by_axis, strict=True)]
