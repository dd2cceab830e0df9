"""Adding borders to the positions of an example, or cutting them off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import Integer, Number
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Layer,
    Params,
    State,
    Static,
    examples,
    layers,
)
from retrograd.network.layers.convolution.borders import Margins, pad, pad_back
from retrograd.network.layers.shared.window import NUMBERS, Numbers

Added = Annotated[Integer | tuple[Integer | tuple[Integer, Integer], ...], Expect(NUMBERS)]
Removed = Annotated[Numbers, Expect(NUMBERS)]


@layers.register(
    "pad",
    examples=examples(
        ({"padding": 1}, [(2, 3, 2, 2)]),
        ({"padding": [[2, -1]], "value": 0.5}, [(1, 4)]),
        ({"padding": [[1, 2], [-1, 1]], "mode": "reflect"}, [(2, 3, 4, 1)]),
        ({"padding": [2], "mode": "circular"}, [(1, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class Pad(Layer):
    """Add positions around each example: a number, the mirror image, the edge, or the other end.

        y[i] = x[i - before] inside, else as set by `mode`

    `padding` has one entry per axis between batch and channels (or for the channels too); a negative number cuts
    off. `mode`: `constant` is `value`, `reflect` the mirror image, `replicate` the edge, `circular` the other end.

    Shapes:  x [batch, ..., channels] -> y, each axis longer by its padding
    Tape:    the shape of x
    Raises:  ShapeError if an axis is too short to be mirrored or cut.
    See:     PyTorch's pad, which counts axes from the last; Keras's ZeroPadding and Cropping.
    """

    padding: Annotated[
        Added,
        Words("positions added at both ends of each axis", more="larger output", less="below 0: positions cut off"),
    ]
    mode: Annotated[
        Literal["constant", "reflect", "replicate", "circular"],
        Words("values of the added positions", why="constant: the number `value`"),
    ] = "constant"
    value: Annotated[Number, Words("value of the added positions, if constant", why="0, as in convolutions")] = 0.0

    equations = Equations(
        forward="y = x inside, and at the borders what `mode` says",
        backward=("dx = dy inside, plus dy of each copy at the borders",),
        latex_forward=r"y_i = x_{s(i)}",
        latex_backward=(r"\delta_{x_k} = \textstyle\sum_{i: s(i) = k} \delta_{y_i}",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.value and self.mode != "constant":
            yield Problem("value", f"applies only to mode constant, not {self.mode}")

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        margins = margins_of(self.padding, x)
        if self.mode == "constant":
            value = jnp.asarray(self.value, x.dtype)
            return Forward(lax.pad(x, value, [(low, high, 0) for low, high in margins]), Static(x.shape))
        inside = lax.pad(x, jnp.zeros((), x.dtype), [(min(low, 0), min(high, 0), 0) for low, high in margins])
        y = pad(inside[..., None], _added(margins), self.mode)[..., 0]
        return Forward(y, Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        shape = tape.value
        margins = margins_of(self.padding, shape)
        if self.mode != "constant":
            lengths = [n + min(low, 0) + min(high, 0) for n, (low, high) in zip(shape, margins, strict=True)]
            dy = pad_back(dy[..., None], lengths[1:], _added(margins), self.mode)[..., 0]
            margins = [(min(low, 0), min(high, 0)) for low, high in margins]
        return Backward((lax.pad(dy, jnp.zeros((), dy.dtype), [(-low, -high, 0) for low, high in margins]),))


@layers.register("crop", examples=examples(({"border": 1}, [(2, 4, 3, 2)]), ({"border": [[2, 0], 1]}, [(1, 3, 4, 1)])))
@dataclass(frozen=True)
class Crop(Layer):
    """Cut positions off the borders of each example.

        y[i] = x[i + before]

    Shapes:  x [batch, ..., channels] -> y, each axis shorter by its border
    Tape:    the shape of x
    Raises:  ShapeError if nothing would be left.
    See:     Keras's Cropping; PyTorch's pad with negative numbers, as `pad` here.
    """

    border: Annotated[
        Removed, Words("positions cut off at both ends of each axis", more="smaller output", less="larger")
    ]

    equations = Equations(
        forward="y = x without its borders",
        backward=("dx = dy inside, 0 at the borders",),
        latex_forward=r"y_i = x_{i + b}",
        latex_backward=(r"\delta_{x_k} = \delta_{y_{k - b}}",),
    )

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        margins = margins_of(self.border, x, -1)
        return Forward(lax.pad(x, jnp.zeros((), x.dtype), [(*pair, 0) for pair in margins]), Static(x.shape))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        margins = margins_of(self.border, tape.value)
        return Backward((lax.pad(dy, jnp.zeros((), dy.dtype), [(*pair, 0) for pair in margins]),))


def margins_of(setting: Any, x: Array | tuple[int, ...], sign: int = 1) -> list[tuple[int, int]]:
    """Return [before, after] for every axis of x, 0 for the batch; a single number applies to the axes in between.

    Raises:  ShapeError if the numbers of axes differ, or nothing is left of an axis.
    """
    shape = x if isinstance(x, tuple) else tuple(x.shape)
    axes = max(len(shape) - 2, 1)  # for [batch, features]: the features
    entries = (setting,) * axes if isinstance(setting, int) else setting
    if len(entries) not in (axes, len(shape) - 1):
        raise ShapeError(f"{len(entries)} entries for {axes} axes between batch and channels of {shape}",
                         cure="write [before, after] for a single axis as [[before, after]]")  # fmt: skip
    pairs = [(entry, entry) if isinstance(entry, int) else entry for entry in entries]
    margins = [(0, 0), *((sign * low, sign * high) for low, high in pairs), *[(0, 0)] * (len(shape) - 1 - len(pairs))]
    for n, (low, high) in zip(shape, margins, strict=True):
        if n and n + min(low, 0) + min(high, 0) < 1:
            raise ShapeError(f"nothing is left of an axis of {n} with {low} and {high} added", cure="cut off less")
    return margins


def _added(margins: list[tuple[int, int]]) -> Margins:
    """Return the margins to add, for the axes after the batch."""
    return [(max(low, 0), max(high, 0)) for low, high in margins[1:]]
