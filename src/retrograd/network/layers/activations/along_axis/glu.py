"""Gated linear units: one half of the features gates the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import Integer
from retrograd.network.layer import (
    Activation,
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
from retrograd.network.layers.activations.sigmoid import Sigmoid
from retrograd.network.layers.shared.axes import axes_of

SIGMOID = Sigmoid()


@layers.register(
    "glu",
    examples=examples(({}, [(5, 4)]), ({"gate": "tanh", "axis": 1}, [(1, 2, 3)]), ({"gate": "silu"}, [(2, 1, 2)])),
)
@dataclass(frozen=True)
class GLU(Activation):
    """Multiply one half of the features by an activation of the other, which halves their number.

        y = a g(b),  [a, b] = x

    `gate` names g: sigmoid is GLU, relu ReGLU, gelu GEGLU, silu SwiGLU, tanh the gate of WaveNet.

    Shapes:  x [batch, ..., 2 features] -> y [batch, ..., features]
    Tape:    a, g(b), the tape of g
    Raises:  ShapeError if the axis has an odd length, or is the batch axis.
    See:     Dauphin et al. 2016, arXiv:1612.08083; Shazeer 2020, arXiv:2002.05202. PyTorch's glu.
    """

    gate: Annotated[
        Layer, Registered(layers, only=Activation), Words("the activation of the second half", why="sigmoid: GLU")
    ] = SIGMOID
    axis: Annotated[Integer, Words("the axis to halve", why="the features")] = -1

    by_element = False
    equations = Equations(
        forward="y = a g(b), [a, b] = x",
        backward=("da = dy g(b), db = dy a g'(b), dx = [da, db]",),
        latex_forward=r"y = a \odot g(b), \quad x = [a, b]",
        latex_backward=(r"\delta_x = [\delta_y \odot g(b), \; \delta_y \odot a \odot g'(b)]",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if not getattr(self.gate, "by_element", False) or type(self.gate).init is not Layer.init:
            yield Problem("gate", f"expected an elementwise function without parameters, found {self.gate.kind}")

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        (axis,) = axes_of(x, self.axis)
        if x.shape[axis] % 2:
            raise ShapeError(f"axis {self.axis} of {tuple(x.shape)} cannot be halved", where="axis",
                             cure="give the previous layer twice the units")  # fmt: skip
        a, b = jnp.split(x, 2, axis)
        gate = self.gate.forward({}, {}, ctx, b)
        return Forward(a * gate.y, (a, gate.y, gate.tape, Static(axis)))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        a, opened, gate_tape, static = tape
        (db,) = self.gate.backward({}, gate_tape, dy * a).inputs
        return Backward((jnp.concatenate([dy * opened, db], static.value),))
