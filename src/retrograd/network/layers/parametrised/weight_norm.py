"""Training length and direction of each unit's weights separately."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.network.layer import Equations, Init, Input, Params, State, examples, layers
from retrograd.network.layers.parametrised.parametrised import Parametrised


@layers.register(
    "weight_norm",
    examples=examples(
        ({"layer": {"dense": 3}}, [(5, 4)]),
        ({"layer": {"conv1d": {"filters": 2, "kernel": 2, "bias": False}}}, [(1, 4, 3)]),
        ({"layer": {"gru": 2}, "parameters": ["recurrent_weight"]}, [(2, 3, 2), Input((2, 3), "mask")]),
    ),
)
@dataclass(frozen=True)
class WeightNorm(Parametrised):
    """Train the length and the direction of each unit's weights separately: another layer with W = g V / |V|.

        W = g V / |V|, |V| over all axes but that of the units

    Shapes:  those of the layer
    Params:  those of the layer, its weights being V; of each a `_length` g [units], at the start |v|
    State:   that of the layer
    Tape:    that of the layer, W, V / |V| and |V|
    See:     Salimans & Kingma 2016, arXiv:1602.07868; PyTorch's parametrizations.weight_norm, whose original1 is V and
             original0 g. A unit whose V is 0 has W = 0. Exported models contain only W.
    """

    equations = Equations(
        forward="W = g V / |V|",
        backward=("dg = Σ dW V / |V|", "dV = g / |V| (dW - dg V / |V|)"),
        latex_forward=r"W = g \, V / \|V\|",
        latex_backward=(
            r"\nabla_g = \textstyle\sum \nabla_W \odot V / \|V\|",
            r"\nabla_V = \frac{g}{\|V\|} (\nabla_W - \nabla_g V / \|V\|)",
        ),
    )

    @override
    def first(self, key: Array, name: str, weight: Array) -> Init:
        return Init({f"{name}_length": _length(weight)})

    @override
    def make(self, params: Params, state: State, name: str, train: bool) -> tuple[Array, Any, State]:
        length = _length(params[name])
        length = jnp.where(length == 0, jnp.ones_like(length), length)
        direction = params[name] / length
        return params[f"{name}_length"] * direction, (direction, length), {}

    @override
    def make_back(self, params: Params, tape: Any, name: str, dw: Array) -> Params:
        direction, length = tape
        dlength = (dw * direction).sum(_all_but_last(dw))
        dv = params[f"{name}_length"] / length * (dw - dlength * direction)
        return {name: dv, f"{name}_length": dlength}


def _length(weight: Array) -> Array:
    return jnp.sqrt((weight * weight).sum(_all_but_last(weight)))


def _all_but_last(weight: Array) -> tuple[int, ...]:
    return tuple(range(weight.ndim - 1))
