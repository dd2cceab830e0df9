"""Weights divided by their largest singular value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.keys import fold_path
from retrograd.base.quantities import PositiveInt
from retrograd.network.layer import Equations, Init, Params, State, examples, layers
from retrograd.network.layers.parametrised.parametrised import Parametrised

FIRST_ITERATIONS = 15  # PyTorch's: from random vectors to singular ones
LEAST = 1e-12  # PyTorch's, smallest length to divide by


@layers.register(
    "spectral_norm",
    examples=examples(
        ({"layer": {"dense": 3}}, [(5, 4)]),
        ({"layer": {"conv2d": {"filters": 2, "kernel": 2}}, "iterations": 2}, [(1, 3, 3, 2)]),
    ),
)
@dataclass(frozen=True)
class SpectralNorm(Parametrised):
    """Keep a layer from stretching any vector: divide its weights by their largest singular value.

        W = V / s, s = aᵀ V b; in training b = Vᵀ a / |Vᵀ a|, then a = V b / |V b|, `iterations` times before

    Shapes:  those of the layer
    Params:  those of the layer, its weights being V, as a matrix [all other axes, units]
    State:   that of the layer, and of each weight `_left` a [all other axes] and `_right` b [units]
    Tape:    that of the layer, W, a, b and s
    See:     Miyato et al. 2018, arXiv:1802.05957; PyTorch's parametrizations.spectral_norm, which iterates in the same
             order. Backward treats a and b as constants. Exported models contain only W.
    """

    iterations: Annotated[
        PositiveInt, Words("steps of the power iteration in each training step", more="closer to s", why="PyTorch's")
    ] = 1

    equations = Equations(
        forward="W = V / s, s = aᵀ V b",
        backward=("dV = (dW - a bᵀ Σ dW W) / s",),
        latex_forward=r"W = V / s, \quad s = a^\top V b",
        latex_backward=(r"\nabla_V = (\nabla_W - a b^\top \textstyle\sum \nabla_W \odot W) / s",),
    )

    @property
    @override
    def surrogate(self) -> str:
        return self.layer.surrogate or "the singular vectors count as constants"

    @override
    def first(self, key: Array, name: str, weight: Array) -> Init:
        matrix = weight.reshape(-1, weight.shape[-1])
        left = jax.random.normal(fold_path(key, f"{name}_left"), matrix.shape[:1], jnp.float32)
        start = (_unit(left), jnp.zeros(matrix.shape[1:], jnp.float32))
        left, right = lax.fori_loop(0, FIRST_ITERATIONS, lambda i, vectors: _iterated(matrix, *vectors), start)
        return Init({}, {f"{name}_left": left, f"{name}_right": right})

    @override
    def make(self, params: Params, state: State, name: str, train: bool) -> tuple[Array, Any, State]:
        weight = params[name]
        matrix = weight.reshape(-1, weight.shape[-1])
        vectors = state[f"{name}_left"], state[f"{name}_right"]
        for _ in range(self.iterations if train else 0):
            vectors = _iterated(matrix, *vectors)
        left, right = map(lax.stop_gradient, vectors)
        stretch = left @ matrix @ right
        w = weight / stretch
        return w, (w, left, right, stretch), {f"{name}_left": left, f"{name}_right": right}

    @override
    def make_back(self, params: Params, tape: Any, name: str, dw: Array) -> Params:
        w, left, right, stretch = tape
        along = jnp.outer(left, right).reshape(dw.shape)
        return {name: (dw - along * (dw * w).sum()) / stretch}


def _iterated(matrix: Array, left: Array, _: Array) -> tuple[Array, Array]:
    """Return the vectors after one step of the power iteration."""
    right = _unit(left @ matrix)
    return _unit(matrix @ right), right


def _unit(vector: Array) -> Array:
    return vector / jnp.maximum(jnp.linalg.norm(vector), jnp.asarray(LEAST, vector.dtype))
