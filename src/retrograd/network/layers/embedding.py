"""Turning identifiers into vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import DataTypeError, Problem
from retrograd.base.quantities import NonNegativeInt
from retrograd.network.initializers import Initial, Normal, draw
from retrograd.network.layer import (
    Backward,
    Context,
    Equations,
    Forward,
    Init,
    Input,
    Layer,
    Params,
    Spec,
    State,
    Units,
    Vocabulary,
    examples,
    layers,
)

UNIT_NORMAL = Normal(1.0)


@layers.register(
    "embedding",
    examples=examples(
        ({"units": 3, "vocabulary": 5}, [Input((2, 4), "labels", 5)]),
        ({"units": 2, "vocabulary": 3, "padding": 0}, [Input((3, 6), "labels", 3)]),
        ({"units": 1, "vocabulary": 1}, [Input((1,), "labels", 1)]),
    ),
)
@dataclass(frozen=True)
class Embedding(Layer):
    """Look up each identifier in a table of learned vectors.

        y = W[ids]

    Shapes:  ids [batch, ...], integers from 0 to vocabulary - 1 -> y [batch, ..., units]
    Params:  weight [vocabulary, units]; the initial values are N(0, 1), as in PyTorch (Keras: uniform within 0.05)
    Tape:    ids
    Raises:  DataTypeError if the ids are not integers. Their range must be checked before, on the host: on the device
             an id out of range silently reads the nearest row.
    See:     `padding` names a row that starts at 0 and gets no gradient, as in PyTorch.
    """

    units: Annotated[
        Units, Words("length of each identifier's vector", more="distinguishes more; more weights", less="smaller")
    ]
    vocabulary: Annotated[
        Vocabulary,
        Words(
            "number of identifiers, including 0",
            more="room for more identifiers",
            less="larger identifiers are an error",
        ),
    ]
    padding: Annotated[NonNegativeInt | None, Words("the identifier whose row stays 0 and is not trained")] = None
    weight: Annotated[Initial, Words("initial values of the rows", why="N(0, 1), PyTorch's")] = UNIT_NORMAL

    equations = Equations(
        forward="y = W[ids]",
        backward=("dW[i] = sum of dy where ids = i (0 for the padding row)",),
        latex_forward=r"y = W_{ids}",
        latex_backward=(r"\nabla_{W_i} = \textstyle\sum_{ids = i} \delta_y",),
    )

    @property
    def surrogate(self) -> str:
        """The padding row is an ordinary row in forward, and a constant in backward."""
        return "" if self.padding is None else "the padding row gets no gradient"

    @override
    def rules(self) -> Iterator[Problem]:
        if self.padding is not None and isinstance(self.vocabulary, int) and self.padding >= self.vocabulary:
            yield Problem("padding", f"expected a row of the vocabulary of {self.vocabulary}, found {self.padding}")

    @override
    def init(self, key: Array, ids: Spec) -> Init:
        weight = draw(self.weight or UNIT_NORMAL, key, "weight", (int(self.vocabulary), int(self.units)))
        return Init({"weight": weight if self.padding is None else weight.at[self.padding].set(0)})

    @override
    def forward(self, params: Params, state: State, ctx: Context, ids: Array) -> Forward:
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise DataTypeError(f"expected integers, got {ids.dtype.name}", cure="give it a column of identifiers")
        y = params["weight"][ids]
        if self.padding is not None:
            y = jnp.where((ids == self.padding)[..., None], lax.stop_gradient(y), y)
        return Forward(y, ids)

    @override
    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        weight = params["weight"]
        grad = jnp.zeros_like(weight).at[tape].add(dy.astype(weight.dtype))
        if self.padding is not None:
            grad = grad.at[self.padding].set(0)
        return Backward((None,), {"weight": grad})
