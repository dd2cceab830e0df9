"""A learned product of two inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Registered, Words
from retrograd.base.errors import ShapeError
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
    rows,
)

ZEROS = Zeros()


@layers.register(
    "bilinear",
    examples=examples(({"units": 3}, [(5, 4), (5, 2)]), ({"units": 1, "bias": False}, [(1, 2, 3), (1, 2, 1)])),
)
@dataclass(frozen=True)
class Bilinear(Layer):
    """Multiply every pair of features of two inputs, and return weighted sums of the products.

        y = x1 W x2 + b

    Shapes:  x1 [batch, ..., features1], x2 [batch, ..., features2] -> y [batch, ..., units]
    Params:  weight [features1, features2, units], bias [units]
    Tape:    x1, x2
    Raises:  ShapeError if the axes before the features differ.
    See:     PyTorch's Bilinear, whose weight is [units, features1, features2].
    """

    units: Annotated[
        Units, Words("outputs of the layer", more="can represent more; slower, more memory", less="smaller and faster")
    ]
    activation: Annotated[Layer | None, Registered(layers, only=Activation), ACTIVATION_BEHIND] = None
    weight: Annotated[Initial, FIRST_WEIGHT] = None  # None: chosen by the next activation
    bias: Annotated[InitialOrNone, FIRST_BIAS] = ZEROS

    multiplies = True
    equations = Equations(
        forward="y = x₁ W x₂ + b",
        backward=(
            "dx₁ = dy W x₂",
            "dx₂ = x₁ W dy",
            "dW = sum over the rows of each product x₁ x₂ dy",
            "db = sum of dy over the rows",
        ),
        latex_forward=r"y_k = \textstyle\sum_{ij} x_{1,i} W_{ijk} x_{2,j} + b",
        latex_backward=(
            r"\delta_{x_1,i} = \textstyle\sum_{jk} W_{ijk} x_{2,j} \delta_{y_k}",
            r"\delta_{x_2,j} = \textstyle\sum_{ik} W_{ijk} x_{1,i} \delta_{y_k}",
            r"\nabla_{W_{ijk}} = \textstyle\sum_{rows} x_{1,i} x_{2,j} \delta_{y_k}",
            r"\nabla_b = \textstyle\sum_{rows} \delta_y",
        ),
    )

    @override
    def init(self, key: Array, x1: Spec, x2: Spec) -> Init:
        shape = (x1.shape[-1], x2.shape[-1], int(self.units))
        params = {"weight": draw(self.weight or GlorotUniform(), key, "weight", shape)}
        if self.bias:
            params["bias"] = draw(self.bias, key, "bias", shape[-1:])
        return Init(params)

    @override
    def forward(self, params: Params, state: State, ctx: Context, x1: Array, x2: Array) -> Forward:
        weight = params["weight"].astype(x1.dtype)
        if x1.shape[:-1] != x2.shape[:-1]:
            raise ShapeError(f"{tuple(x1.shape)} and {tuple(x2.shape)} differ before the features")
        expect_features(x1, weight.shape[0], "first input")
        expect_features(x2, weight.shape[1], "second input")
        y = jnp.einsum("...i,ijk,...j->...k", x1, weight, x2)
        return Forward(y + params["bias"].astype(x1.dtype) if "bias" in params else y, (x1, x2))

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        (x1, x2), weight = tape, params["weight"]
        cast = weight.astype(dy.dtype)
        matrices = (rows(x1), rows(x2), rows(dy))
        grads = {"weight": jnp.einsum("ni,nj,nk->ijk", *matrices, preferred_element_type=weight.dtype)}
        if "bias" in params:
            grads["bias"] = matrices[2].sum(0, dtype=params["bias"].dtype)
        dx1 = jnp.einsum("...k,ijk,...j->...i", dy, cast, x2)
        return Backward((dx1, jnp.einsum("...k,ijk,...i->...j", dy, cast, x1)), grads)
