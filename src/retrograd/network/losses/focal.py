"""Focal loss: binary cross-entropy that discounts examples already right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat, Probability
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import CLIP, FROM_LOGITS, Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "focal",
    examples=examples(
        ({}, [(5, 3), Input((5, 3), "binary")]),
        ({"gamma": 0.5, "alpha": None, "reduction": "sum"}, [(1, 2), Input((1, 2), "binary"), (1,)]),
        ({"from_logits": False}, [Input((4, 3), "probabilities"), Input((4, 3), "binary")]),
    ),
)
@dataclass(frozen=True)
class Focal(Loss):
    """Average the surprise at each binary answer t, given a logit y, weighted by how wrong the answer is.

        L = -1/n sum alpha_t (1 - p_t)^gamma log p_t,  p_t = sigmoid(y) where t = 1, else sigmoid(-y)

    `alpha` is the weight of positives (1 - alpha of negatives); without it both have weight 1. With gamma 0 and no
    alpha this is binary_cross_entropy. Suited to rare objects among the many positions of an image.

    Shapes:  y [batch, ...], t the same, 0 or 1 -> scalar
    Tape:    y with its sign changed so that the right answer is positive, s y; alpha_t; s
    See:     Lin et al. 2017, arXiv:1708.02002, with its gamma and alpha. The paper divides by the number of objects:
             `reduction: sum` and `scale`. Probabilities (`from_logits: false`) are clipped to [1e-7, 1 - 1e-7], with
             gradient 0 outside, as in Keras.
    """

    gamma: Annotated[
        NonNegativeFloat,
        Words(
            "how strongly easy examples are discounted",
            more="more weight on hard examples",
            less="closer to cross-entropy",
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

    from_logits: Annotated[bool, FROM_LOGITS] = True

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
        equations = self.equations
        if not self.from_logits:
            equations = Equations(
                forward="L = -1/n Σ α_t (1 - p)^γ log p, p = y where t = 1, else 1 - y",
                backward=("dL/dy = 1/n s α_t (1 - p)^(γ-1) (γ log p - (1 - p) / p), s = 1 where t = 1, else -1",),
                latex_forward=r"L = -\frac{1}{n} \sum \alpha_t (1 - p)^\gamma \log p, \quad p = y^t (1 - y)^{1 - t}",
                latex_backward=(
                    r"\frac{\partial L}{\partial y} = \frac{1}{n} s \, \alpha_t (1 - p)^{\gamma - 1}"
                    r" (\gamma \log p - (1 - p) / p)",
                ),
            )
        if self.alpha is not None:
            return equations
        plain = [text.replace("α_t ", "") for text in (equations.forward, *equations.backward)]
        latex = [text.replace(r"\alpha_t ", "") for text in (equations.latex_forward, *equations.latex_backward)]
        return Equations(plain[0], tuple(plain[1:]), latex[0], tuple(latex[1:]))

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, ...]]:
        side = jnp.where(t > 0.5, 1.0, jnp.where(t <= 0.5, -1.0, t)).astype(y.dtype)  # a NaN target stays NaN
        turned = side * y if self.from_logits else jnp.where(side > 0, y, 1 - y) + 0 * side
        log_p, log_other = self._logarithms(turned)
        weight = jnp.ones_like(y) if self.alpha is None else 0.5 + side * (self.alpha - 0.5)  # alpha or 1 - alpha
        return -weight * jnp.exp(self.gamma * log_other) * log_p, (turned, weight, side)

    def slopes(self, kept: tuple[Elements, ...]) -> Elements:
        """s α_t (1 - p)^γ (γ p log p - (1 - p)) by the logit; for p, divided by p (1 - p), 0 outside the clip."""
        turned, weight, side = kept
        log_p, log_other = self._logarithms(turned)
        p, other = jnp.exp(log_p), jnp.exp(log_other)
        by_logit = side * weight * jnp.exp(self.gamma * log_other) * (self.gamma * p * log_p - other)
        if self.from_logits:
            return by_logit
        inside = (turned > CLIP) & (turned < 1 - CLIP)
        return jnp.where(inside, by_logit / (p * other), jnp.zeros_like(by_logit))

    def _logarithms(self, turned: Array) -> tuple[Array, Array]:
        """Return log p and log(1 - p) of the right answer."""
        if self.from_logits:
            return _log_sigmoid(turned), _log_sigmoid(-turned)
        p = jnp.clip(turned, CLIP, 1 - CLIP)
        return jnp.log(p), jnp.log1p(-p)


def _log_sigmoid(y: Array) -> Array:
    return jnp.minimum(y, 0) - jnp.log1p(jnp.exp(-jnp.abs(y)))
