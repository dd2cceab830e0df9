"""Activations that act on each element separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jax import Array
from typing_extensions import override

from retrograd.base.schema import unwritten
from retrograd.network.layer import Activation, Backward, Context, Forward, Params, State, examples

SHAPES = examples(({}, [(5, 4)]), ({}, [(1, 3, 1)]))  # inputs for testing activations without settings


@dataclass(frozen=True)
class Elementwise(Activation):
    """A function of each element, without parameters: a subclass defines `value` and, below it, `delta`.

    Shapes:  x [batch, ...] -> y, the same
    Tape:    y or x, whichever `delta` uses
    """

    tape: ClassVar[Literal["x", "y"]] = "y"

    def value(self, x: Array) -> Array:
        """Return y."""
        raise unwritten(self, "value(self, x)")

    def delta(self, tape: Array, dy: Array, /) -> Array:
        """Return dx, from y or x and dy."""
        raise unwritten(self, "delta(self, y, dy)")

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        y = self.value(x)
        return Forward(y, x if self.tape == "x" else y)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        return Backward((self.delta(tape, dy),))
