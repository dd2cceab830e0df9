"""Muon: momentum with orthogonalised matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from retrograd.update.moments import Moments
from retrograd.update.optimizer import LearningRate, Optimizer, optimizers
from retrograd.update.optimizers import BETA1, EPS

QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: singular values from 0.001 to 1 end near 1 after five rounds
MATCHED = 0.2  # root mean square of Adam's updates


@optimizers.register("muon", example={"learning_rate": 0.001, "weight_decay_on": "weights"})
@dataclass(frozen=True)
class Muon(Optimizer):
    """Orthogonalise the momentum of each matrix, so that all directions move equally; use Adam for everything else.

    Matrices are parameters with two axes; biases, scales and convolution kernels get Adam's direction. With
    `adjust: match_rms_adamw` a matrix moves as far as with Adam, so one rate suits both; `original` multiplies by
    sqrt(max(1, units / features)), for rates near 0.02.

    See:  Jordan et al. 2024; Liu et al. 2025, arXiv:2502.16982 (match_rms_adamw). PyTorch's Muon only accepts matrices,
          computes in bfloat16 and adjusts as `original` by default. The decay is decoupled.
    """

    formula = (
        "m = beta m + (1 - beta) g; d = orthogonal(beta m + (1 - beta) g) 0.2 sqrt(max(rows, columns)) + weight_decay p"
    )
    latex = (
        r"m \leftarrow \beta m + (1-\beta) g, \quad "
        r"d = 0.2 \sqrt{\max(n, m)} \, \mathrm{orthogonal}(\beta m + (1-\beta) g) + \lambda p"
    )
    decoupled = True

    learning_rate: LearningRate = 0.001
    momentum: Annotated[
        Fraction, Words("decay rate of the momentum of matrices", more="steadier", less="follows each gradient")
    ] = 0.95
    adjust: Annotated[
        Literal["match_rms_adamw", "original"],
        Words("scaling of the orthogonal step", why="match_rms_adamw: one rate for matrices and everything else"),
    ] = "match_rms_adamw"
    rounds: Annotated[PositiveInt, Words("iterations of the orthogonalisation", more="more exact", less="faster")] = 5
    beta1: Annotated[Fraction, BETA1] = 0.9
    beta2: Annotated[Fraction, Words("decay rate of Adam's average of squared gradients", more="steadier")] = 0.999
    eps: Annotated[PositiveFloat, EPS] = 1e-8
    weight_decay: NonNegativeFloat = field(default=0.1, kw_only=True)

    @override
    def direction(self) -> optax.GradientTransformation:
        def init(params: Any) -> Moments:
            zeros = optax.tree.zeros_like(params)
            return Moments(jnp.zeros((), jnp.int32), zeros, zeros)

        def update(grads: Any, state: Moments, params: Any = None) -> tuple[Any, Moments]:
            step = state.t + 1

            def one(g: Array, m: Array, v: Array) -> tuple[Array, Array, Array]:
                if g.ndim == 2:
                    m = self.momentum * m + (1 - self.momentum) * g
                    ahead = self.momentum * m + (1 - self.momentum) * g
                    return self._distance(g.shape) * orthogonal(ahead, self.rounds), m, v
                m, v = self.beta1 * m + (1 - self.beta1) * g, self.beta2 * v + (1 - self.beta2) * g * g
                first, second = (1 - jnp.asarray(beta, g.dtype) ** step for beta in (self.beta1, self.beta2))
                return (m / first) / (jnp.sqrt(v / second) + self.eps), m, v

            triples = jax.tree.map(one, grads, state.mu, state.nu)
            directions, mu, nu = (jax.tree.map(lambda _, triple, i=i: triple[i], grads, triples) for i in range(3))
            return directions, Moments(step, mu, nu)

        return optax.GradientTransformation(init, update)

    def _distance(self, shape: tuple[int, ...]) -> float:
        features, units = shape
        return float(max(1, units / features) ** 0.5 if self.adjust == "original" else MATCHED * max(shape) ** 0.5)


def orthogonal(g: Array, rounds: int) -> Array:
    """Return roughly the nearest orthogonal matrix: a polynomial iteration moves all singular values towards 1."""
    a, b, c = QUINTIC
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / jnp.maximum(jnp.linalg.norm(x), 1e-7).astype(x.dtype)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if g.shape[0] > g.shape[1] else x
