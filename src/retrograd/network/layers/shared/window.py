"""Windows that slide over the axes between batch and channels: their positions, their views, and the adjoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import jax.numpy as jnp
from jax import Array, lax

from retrograd.base.annotations import Expect
from retrograd.base.errors import DataTypeError, ShapeError
from retrograd.base.quantities import NonNegativeInt, PositiveInt
from retrograd.network.layer import Spec

Lengths = Annotated[PositiveInt | tuple[PositiveInt, ...], Expect("a positive integer, or a list of one for each axis")]
Margin = NonNegativeInt | tuple[NonNegativeInt, NonNegativeInt]
Numbers = NonNegativeInt | tuple[Margin, ...]
NUMBERS = "an integer, or a list with an integer or [before, after] for each axis"
Padding = Annotated[Literal["same", "valid"] | Numbers, Expect(f"same, valid, {NUMBERS}")]
CausalPadding = Annotated[Literal["same", "valid", "causal"] | Numbers, Expect(f"same, valid, causal, {NUMBERS}")]


@dataclass(frozen=True)
class Window:
    """The positions of a kernel on one input; every field has one entry per axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lengths: tuple[int, ...]  # of the input
    outputs: tuple[int, ...]  # number of windows

    @property
    def extent(self) -> tuple[int, ...]:
        """The span of one window."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def margins(self) -> tuple[tuple[int, int], ...]:
        """Positions to add at both ends so that the last window ends there; negative if no window sees them."""
        each = zip(self.padding, self.lengths, self.outputs, self.stride, self.extent, strict=True)
        return tuple((low, (n - 1) * s + e - low - length) for (low, _), length, n, s, e in each)

    @property
    def spread(self) -> tuple[tuple[int, int, int], ...]:
        """Zeros before, after and between outputs such that this kernel, with stride 1, visits each input once."""
        each = zip(self.padding, self.lengths, self.outputs, self.stride, self.extent, strict=True)
        return tuple((e - 1 - low, length + low - (n - 1) * s - 1, s - 1) for (low, _), length, n, s, e in each)

    @property
    def places(self) -> list[tuple[int, ...]]:
        """The entries of the kernel, row by row."""
        return list(itertools.product(*map(range, self.kernel)))


def place_window(lengths: Sequence[int], kernel: Lengths, stride: Lengths = 1, dilation: Lengths = 1,
                 padding: str | Numbers = "valid", ceil: bool = False, what: str = "kernel") -> Window:  # fmt: skip
    """Return the positions of a kernel on axes of these lengths; `ceil` lets the last window extend beyond the end.

    Raises:  ShapeError if it is larger than a padded axis, or given for another number of axes.
    """
    axes = len(lengths)
    kernel, stride, dilation = (each_axis(value, axes, name) for value, name in
                                ((kernel, what), (stride, "stride"), (dilation, "dilation")))  # fmt: skip
    extent = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    margins = axis_margins(padding, lengths, extent, stride)
    outputs = []
    for k, e, s, length, (low, high) in zip(kernel, extent, stride, lengths, margins, strict=True):
        free = length + low + high - e
        if free < 0:
            size = f"{k} (dilated: {e})" if e > k else f"{k}"
            raise ShapeError(f"{what} {size} is larger than the padded input {length + low + high}",
                             cure=f"use a smaller {what}, more padding, or less pooling before it")  # fmt: skip
        count = (-(-free // s) if ceil else free // s) + 1
        begins_behind = ceil and (count - 1) * s >= length + low  # the last window would lie entirely beyond the end
        outputs.append(count - begins_behind)
    return Window(kernel, stride, dilation, margins, tuple(lengths), tuple(outputs))


def expect_axes(x: Array | Spec, *axes: int) -> tuple[int, ...]:
    """Return the lengths between batch and channels; raise unless x holds real numbers and has this number of axes."""
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        raise DataTypeError(f"input: expected real numbers, got {x.dtype.name}", cure="put an embedding before it")
    if x.ndim - 2 not in axes:
        names = {
            1: "(batch, length, channels)",
            2: "(batch, height, width, channels)",
            3: "(batch, depth, height, width, channels)",
        }
        raise ShapeError(
            f"input: expected {' or '.join(names[n] for n in axes)}, got {tuple(x.shape)}",
            cure="channels come last; for a single channel, add an axis of length 1 with `reshape`",
        )
    return tuple(x.shape[1:-1])


def views(x: Array, window: Window, value: float = 0.0) -> list[Array]:
    """Return for each entry of the kernel its view, [batch, *outputs, channels]; padding is filled with `value`."""
    edges = [(0, 0, 0), *((low, high, 0) for low, high in window.margins), (0, 0, 0)]
    padded = lax.pad(x, jnp.asarray(value, x.dtype), edges)
    return [_view(padded, window, place) for place in window.places]


def fold(parts: Iterable[Array], window: Window) -> Array:
    """Return the sum of all parts, each placed where its view was taken: the adjoint of `views`."""
    axes = list(zip(window.dilation, window.padding, window.lengths, window.outputs, window.stride, strict=True))
    total: Array | None = None
    for part, place in zip(parts, window.places, strict=True):
        begins = [p * d - low for p, (d, (low, _), *_) in zip(place, axes, strict=True)]
        spread = [(b, length - b - (n - 1) * s - 1, s - 1)
                  for b, (_, _, length, n, s) in zip(begins, axes, strict=True)]  # fmt: skip
        laid = lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *spread, (0, 0, 0)])
        total = laid if total is None else total + laid
    assert total is not None  # a kernel has entries
    return total


def each_axis(value: Lengths, axes: int, what: str) -> tuple[int, ...]:
    """Return a setting as one number for each axis."""
    lengths = (value,) * axes if isinstance(value, int) else value
    if len(lengths) != axes:
        raise ShapeError(f"{what} {list(lengths)} is for {len(lengths)} axes, but the input has {axes}")
    return lengths


def axis_margins(padding: str | Numbers, lengths: Sequence[int], extent: Sequence[int],
                 stride: Sequence[int]) -> tuple[tuple[int, int], ...]:  # fmt: skip
    """Return the number of values added before and after each axis."""
    if padding == "causal":
        return tuple((e - 1, 0) for e in extent)
    if padding == "same":  # ceil(length / stride) windows; an odd value is added at the end
        totals = [max((-(-n // s) - 1) * s + e - n, 0) for n, e, s in zip(lengths, extent, stride, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    numbers = 0 if isinstance(padding, str) else padding
    margins = (numbers,) * len(lengths) if isinstance(numbers, int) else numbers
    if len(margins) != len(lengths):
        raise ShapeError(f"padding {list(margins)} is for {len(margins)} axes, but the input has {len(lengths)}",
                         cure="write [before, after] for a single axis as [[before, after]]")  # fmt: skip
    return tuple((p, p) if isinstance(p, int) else p for p in margins)


def _view(padded: Array, window: Window, place: Sequence[int]) -> Array:
    starts = [p * d for p, d in zip(place, window.dilation, strict=True)]
    ends = [b + (n - 1) * s + 1 for b, n, s in zip(starts, window.outputs, window.stride, strict=True)]
    return lax.slice(padded, (0, *starts, 0), (padded.shape[0], *ends, padded.shape[-1]), (1, *window.stride, 1))
