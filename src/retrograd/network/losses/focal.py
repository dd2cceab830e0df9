"""Focal loss: binary cross-entropy that looks away from what is already right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat, Probability
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "focal",
    examples=examples(
        ({}, [(5, 3), Input((5, 3), "binary")]),
        ({"gamma": 0.5, "alpha": None, "reduction": "sum"}, [(1, 2), Input((1, 2), "binary"), (1,)]),
    ),
)
@dataclass(frozen=True)
class Focal(Loss):
    """Average the surprise at each yes-or-no answer t, given a logit y, weighed by how wrong the answer is.

        L = -1/n sum alpha_t (1 - p_t)^gamma log p_t,  p_t = sigmoid(y) where t = 1, else sigmoid(-y)

    `alpha` weighs the yes (and 1 - alpha the no); without it both weigh 1. With gamma 0 and no alpha this is
    binary_cross_entropy. For the rare objects among the many places of an image.

    Shapes:  y [batch, ...], t the same, 0 or 1 -> scalar
    Tape:    y and t turned so that the right answer is positive: s y, alpha_t, s
    See:     Lin et al. 2017, arXiv:1708.02002, with its gamma and alpha. The paper divides by the number of objects:
             `reduction: sum` and `scale`.
    """

    gamma: Annotated[
        NonNegativeFloat,
        Words(
            "how strongly easy examples are discounted",
            more="more weight on hard examples",
            less="nearer to cross-entropy",
            why="2, the paper's",
        ),
    ] = 2.0
    alpha: Annotated[
        Probability | None,
        Words(
            "weight of a positive example; a negative one has 1 minus this",
            more="more positives detected, more false alarms",
            less="fewer false alarms",
            why="0.25, the paper's",
        ),
    ] = 0.25

    from_logits: ClassVar[bool] = True
    equations = Equations(
        forward="L = -1/n Σ α_t (1 - p)^γ log p, p = σ(s y), s = 1 where t = 1, else -1",
        backward=("dL/dy = 1/n s α_t (1 - p)^γ (γ p log p - (1 - p))",),
        latex_forward=r"L = -\frac{1}{n} \sum \alpha_t (1 - p)^\gamma \log p, \quad p = \sigma(s y)",
        latex_backward=(
            r"\frac{\partial L}{\partial y} = \frac{1}{n} s \, \alpha_t (1 - p)^\gamma (\gamma p \log p - (1 - p))",
        ),
    )

    @override
    def written(self) -> Equations:
        if self.alpha is not None:
            return self.equations
        plain = [text.replace("α_t ", "") for text in (self.equations.forward, *self.equations.backward)]
        latex = [
            text.replace(r"\alpha_t ", "") for text in (self.equations.latex_forward, *self.equations.latex_backward)
        ]
        return Equations(plain[0], tuple(plain[1:]), latex[0], tuple(latex[1:]))

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, ...]]:
        side = jnp.where(t > 0.5, 1.0, jnp.where(t <= 0.5, -1.0, t)).astype(y.dtype)  # a NaN target stays NaN
        turned = side * y
        log_p, log_other = _log_sigmoid(turned), _log_sigmoid(-turned)
        weight = jnp.ones_like(y) if self.alpha is None else 0.5 + side * (self.alpha - 0.5)  # alpha or 1 - alpha
        return -weight * jnp.exp(self.gamma * log_other) * log_p, (turned, weight, side)

    def slopes(self, kept: tuple[Elements, ...]) -> Elements:
        """s α_t (1 - p)^γ (γ p log p - (1 - p))."""
        turned, weight, side = kept
        log_p, log_other = _log_sigmoid(turned), _log_sigmoid(-turned)
        inner = self.gamma * jnp.exp(log_p) * log_p - jnp.exp(log_other)
        return side * weight * jnp.exp(self.gamma * log_other) * inner


def _log_sigmoid(y: Array) -> Array:
    return jnp.minimum(y, 0) - jnp.log1p(jnp.exp(-jnp.abs(y)))
