"""The dense (fully connected) layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.native.matrix import transposed_product
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
    expect_features,
    layers,
    product,
    rows,
)

ZEROS = Zeros()


@layers.register(
    "dense",
    examples=examples(
        ({"units": 3}, [(5, 4)]),
        ({"units": 1, "bias": False}, [(1, 4)]),
        ({"units": 2}, [(3, 5, 4)]),
        ({"units": 4}, [(520, 3)]),
        ({"units": 2}, [(520, 3)]),
    ),
)
@dataclass(frozen=True)
class Dense(Layer):
    """Multiply each row by a weight matrix and add a bias.

        y = x W + b

    Shapes:  x [batch, ..., features] -> y [batch, ..., units]
    Params:  weight [features, units], bias [units]
    Tape:    x
    Raises:  ShapeError if the last axis of x is not `features`.
    See:     PyTorch stores the weight as [units, features].
    """

    units: Annotated[
        Units,
        Words(
            "outputs of the layer",
            more="can represent more; slower, more memory, overfits sooner",
            less="smaller and faster; may underfit",
        ),
    ]
    activation: Annotated[Layer | None, Registered(layers, only=Activation), ACTIVATION_BEHIND] = None
    weight: Annotated[Initial, FIRST_WEIGHT] = None  # None: chosen by the next activation
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS

    multiplies = True
    equations = Equations(
        forward="y = x W + b",
        backward=("dx = dy Wᵀ", "dW = xᵀ dy", "db = sum of dy over the rows"),
        latex_forward=r"y = x W + b",
        latex_backward=(
            r"\delta_x = \delta_y W^\top",
            r"\nabla_W = x^\top \delta_y",
            r"\nabla_b = \textstyle\sum_{rows} \delta_y",
        ),
    )

    @override
    def init(self, key: Array, x: Spec) -> Init:
        shape = (x.shape[-1], int(self.units))
        params = {"weight": draw(self.weight or GlorotUniform(), key, "weight", shape)}
        if self.bias:
            params["bias"] = draw(self.bias, key, "bias", shape[1:])
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x: Array) -> Forward:
        weight = params["weight"].astype(x.dtype)
        expect_features(x, weight.shape[0])
        y = product(x, weight)
        return Forward(y + params["bias"].astype(x.dtype) if "bias" in params else y, x)

    @override
    def backward(self, params: Params, tape: Array, dy: Array) -> Backward:
        x, weight = tape, params["weight"]
        grads = {"weight": transposed_product(x, dy, weight.dtype)}
        if "bias" in params:
            grads["bias"] = rows(dy).sum(0, dtype=params["bias"].dtype)
        return Backward((product(dy, weight.T.astype(dy.dtype)),), grads)
