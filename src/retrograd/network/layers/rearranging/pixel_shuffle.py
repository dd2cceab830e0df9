"""Rearranging channels as positions, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.network.layer import Backward, Context, Equations, Forward, Layer, Params, State, examples, layers
from retrograd.network.layers.shared.window import Lengths, each_axis, expect_axes

Factor = Annotated[
    Lengths,
    Words(
        "factor by which each axis grows or shrinks",
        more="larger images",
        less="more channels",
        why="2: each axis doubles or halves",
    ),
]


@layers.register(
    "pixel_shuffle",
    examples=examples(({}, [(2, 2, 3, 4)]), ({"factor": [3, 1]}, [(1, 2, 2, 6)]), ({"factor": 2}, [(1, 3, 2)])),
)
@dataclass(frozen=True)
class PixelShuffle(Layer):
    """Rearrange channels as positions: an image `factor` times as large along each axis, with fewer channels.

        y[r i + a, r j + b, c] = x[i, j, (c r + a) r + b]

    Shapes:  x [batch, *lengths, channels · factors] -> y [batch, *lengths · factor, channels]
    Tape:    nothing
    Raises:  ShapeError if the factors do not divide the channels.
    See:     Shi et al. 2016, arXiv:1609.05158. The order of the channels is PyTorch's; TensorFlow's depth_to_space has
             the positions before the channels.
    """

    factor: Factor = 2

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = the channels of x as positions",
        backward=("dx = the positions of dy as channels",),
        latex_forward=r"y_{ri + a, c} = x_{i, cr + a}",
        latex_backward=(r"\delta_{x_{i, cr + a}} = \delta_{y_{ri + a, c}}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(shuffled(x, self.factor))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((unshuffled(dy, self.factor),))


@layers.register("pixel_unshuffle", examples=examples(({}, [(2, 4, 2, 3)]), ({"factor": [2, 3]}, [(1, 2, 6, 1)])))
@dataclass(frozen=True)
class PixelUnshuffle(Layer):
    """Rearrange neighbouring positions as channels: a smaller image without loss of information.

        y[i, j, (c r + a) r + b] = x[r i + a, r j + b, c]

    Shapes:  x [batch, *lengths, channels] -> y [batch, *lengths / factor, channels · factors]
    Tape:    nothing
    Raises:  ShapeError if the factor does not divide the lengths.
    See:     PyTorch's PixelUnshuffle, and its order of the channels.
    """

    factor: Factor = 2

    keeps_scale: ClassVar[bool] = True
    equations = Equations(
        forward="y = the positions of x as channels",
        backward=("dx = the channels of dy as positions",),
        latex_forward=r"y_{i, cr + a} = x_{ri + a, c}",
        latex_backward=(r"\delta_{x_{ri + a, c}} = \delta_{y_{i, cr + a}}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        return Forward(unshuffled(x, self.factor))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        return Backward((shuffled(dy, self.factor),))


def shuffled(x: Array, factor: Lengths) -> Array:
    """Return the channels as positions."""
    lengths = expect_axes(x, 1, 2, 3)
    factors, axes = each_axis(factor, len(lengths), "factor"), len(lengths)
    channels = x.shape[-1]
    for step in factors:
        if channels % step:
            raise ShapeError(f"factor {list(factors)} does not divide {x.shape[-1]} channels", where="factor")
        channels //= step
    split = x.reshape(len(x), *lengths, channels, *factors)
    order = [0, *(i for k in range(axes) for i in (1 + k, 2 + axes + k)), 1 + axes]
    return split.transpose(order).reshape(len(x), *(n * f for n, f in zip(lengths, factors, strict=True)), channels)


def unshuffled(x: Array, factor: Lengths) -> Array:
    """Return positions as channels: the inverse."""
    lengths = expect_axes(x, 1, 2, 3)
    factors, axes = each_axis(factor, len(lengths), "factor"), len(lengths)
    if any(n % f for n, f in zip(lengths, factors, strict=True)):
        raise ShapeError(f"factor {list(factors)} does not divide the lengths {list(lengths)}", where="factor")
    smaller = [n // f for n, f in zip(lengths, factors, strict=True)]
    split = x.reshape(len(x), *(i for pair in zip(smaller, factors, strict=True) for i in pair), x.shape[-1])
    order = [0, *range(1, 2 * axes, 2), 2 * axes + 1, *range(2, 2 * axes + 1, 2)]
    moved = split.transpose(order)
    return moved.reshape(*moved.shape[: axes + 1], -1)
