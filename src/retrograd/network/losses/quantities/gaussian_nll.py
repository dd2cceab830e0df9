"""The loss of a network that predicts its own uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, computing_dtype, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "gaussian_nll",
    examples=examples(
        ({}, [(5, 3), Input((5, 3), "positive"), (5, 3)]),
        ({"log_variance": True, "full": True, "reduction": "sum"}, [(1, 2), (1, 2), (1, 2), (1,)]),
    ),
)
@dataclass(frozen=True)
class GaussianNLL(Loss):
    """Average the surprise at the target t, given a predicted mean y and variance v.

        L = 1/n sum (log v + (y - t)^2 / v) / 2

    Two outputs of one network. In a configuration: `losses: {mean: {loss: {gaussian_nll: {log_variance: true}},
    target: [spread, price]}}`, where `mean` and `spread` are nodes. With `log_variance` the second output is log v,
    which may be any number; else it must be positive (softplus), and values below eps count as eps.
    `full` adds log(2 pi) / 2, which has no gradient.

    Shapes:  y, v [batch, ...], t the same -> scalar
    Tape:    y - t, v, whether v is above eps
    Raises:  ShapeError if the shapes differ.
    See:     Nix & Weigend 1994. PyTorch's gaussian_nll_loss takes (y, t, v); its delta of v also passes below eps.
    """

    log_variance: Annotated[
        bool, Words("whether the second output is the logarithm of the variance", why="false: as PyTorch")
    ] = False
    full: Annotated[bool, Words("whether log(2 pi) / 2 is added: no gradient", why="false: as PyTorch")] = False
    eps: Annotated[PositiveFloat, Words("the smallest variance", why="PyTorch's")] = 1e-6

    predictions = 2
    equations = Equations(
        forward="L = 1/n Σ (log v + (y - t)² / v) / 2",
        backward=("dL/dy = 1/n (y - t) / v", "dL/dv = 1/n (1 - (y - t)² / v) / (2 v)"),
        latex_forward=r"L = \frac{1}{n} \sum \frac{1}{2} \left( \log v + \frac{(y - t)^2}{v} \right)",
        latex_backward=(
            r"\frac{\partial L}{\partial y} = \frac{1}{n} \frac{y - t}{v}",
            r"\frac{\partial L}{\partial v} = \frac{1}{n} \frac{1}{2 v} \left( 1 - \frac{(y - t)^2}{v} \right)",
        ),
    )

    @override
    def written(self) -> Equations:
        if not self.log_variance:
            return self.equations
        equations = self.equations
        latex = r"\frac{\partial L}{\partial s} = \frac{1}{n} \frac{1}{2} \left( 1 - \frac{(y - t)^2}{v} \right)"
        return equations._replace(
            forward=equations.forward + ", v = exp(s)",
            backward=(equations.backward[0], "dL/ds = 1/n (1 - (y - t)² / v) / 2"),
            latex_backward=(equations.latex_backward[0], latex),
        )

    @override
    def terms(self, y: Elements, v: Elements, t: Elements) -> tuple[Elements, tuple[Elements, Elements, Elements]]:
        variance = jnp.exp(v) if self.log_variance else jnp.maximum(v, self.eps)
        share = (y - t) * (y - t) / variance
        terms = 0.5 * ((v if self.log_variance else jnp.log(variance)) + share)
        by_v = 0.5 * (1 - share)
        if not self.log_variance:
            by_v = jnp.where(v > self.eps, by_v / variance, jnp.zeros_like(v))
        return terms + 0.5 * math.log(2 * math.pi) * self.full, (y - t, variance, by_v)

    def slopes(self, kept: tuple[Elements, Elements, Elements]) -> tuple[Elements, Elements]:
        """(y - t) / v, and (1 - (y - t)² / v) / (2 v); for a log variance the latter times v."""
        difference, variance, by_v = kept
        return difference / variance, by_v

    def read(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return mean, variance and target."""
        y, v, t = inputs
        dtype = computing_dtype(y)
        return y.astype(dtype), self.read_target(y, v).astype(dtype), self.read_target(y, t)
