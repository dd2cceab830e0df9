"""Focal loss of one class among several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import NonNegativeFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.cross_entropy import weights_of
from retrograd.network.losses.labels import beside
from retrograd.network.losses.loss import CLIP, FROM_LOGITS, Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows, RowTotals


@losses.register(
    "categorical_focal",
    examples=examples(
        ({}, [(5, 4), Input((5,), "labels", classes=4)]),
        ({"alpha": [0.5, 1.0, 2.0], "gamma": 0.5, "reduction": "sum"}, [(1, 3), Input((1, 3), "probabilities"), (1,)]),
        ({"from_logits": False}, [Input((2, 3, 4), "probabilities"), Input((2, 3), "labels", classes=4)]),
    ),
)
@dataclass(frozen=True)
class CategoricalFocal(Loss):
    """Average the surprise at each row's class, given logits y, weighted by how wrong the answer is.

        L = -1/n sum_rows sum_c a_c q_c (1 - p_c)^gamma log p_c,  p = softmax(y)

    With gamma 0 and alpha 1 this is cross_entropy. With `from_logits: false` y holds probabilities, which are divided
    by their sum.

    Shapes:  y [batch, ..., classes], q labels [batch, ...] or numbers [batch, ..., classes] -> scalar
    Tape:    p, its logarithm, a q, the sum that y was divided by
    Raises:  ShapeError if the numbers of alphas and classes differ.
    See:     Lin et al. 2017, arXiv:1708.02002; Keras's CategoricalFocalCrossentropy, with its clip of probabilities.
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
        NonNegativeFloat | tuple[NonNegativeFloat, ...],
        Words("weight of all classes, or one per class", why="0.25, the paper's"),
    ] = 0.25
    from_logits: Annotated[bool, FROM_LOGITS] = True

    terms_for = "row"
    takes_labels = True
    equations = Equations(
        forward="L = -1/n Σ_rows Σ_c a_c q_c (1 - p_c)^γ log p_c, p = softmax(y)",
        backward=("h_c = a_c q_c (1 - p_c)^γ (γ p_c log p_c / (1 - p_c) - 1)", "dL/dy_c = 1/n (h_c - p_c Σ_k h_k)"),
        latex_forward=r"L = -\frac{1}{n} \sum_{rows} \sum_c \alpha_c q_c (1 - p_c)^\gamma \log p_c",
        latex_backward=(
            r"\frac{\partial L}{\partial y_c} = \frac{1}{n} (h_c - p_c \textstyle\sum_k h_k), \quad"
            r" h_c = \alpha_c q_c (1 - p_c)^\gamma (\gamma p_c \log p_c / (1 - p_c) - 1)",
        ),
    )

    @override
    def written(self) -> Equations:
        if self.from_logits:
            return self.equations
        equations = self.equations
        return equations._replace(
            forward=equations.forward.replace("softmax(y)", "y / Σ y"),
            backward=(equations.backward[0], "dL/dy_c = 1/n (h_c / p_c - Σ_k h_k) / Σ y"),
            latex_backward=(
                equations.latex_backward[0].replace(
                    r"(h_c - p_c \textstyle\sum_k h_k)", r"(h_c / p_c - \textstyle\sum_k h_k) / \sum y"
                ),
            ),
        )

    @override
    def terms(self, y: Classes, q: Classes) -> tuple[Rows, tuple[Classes, Classes, Classes, RowTotals]]:
        if self.from_logits:
            shifted = y - jnp.max(y, -1, keepdims=True)
            log_p = shifted - jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))
            p, total = jnp.exp(log_p), jnp.ones_like(y[..., :1])
        else:
            total = jnp.sum(y, -1, keepdims=True)
            p = y / total
            log_p = jnp.log(jnp.clip(p, CLIP, 1 - CLIP))
        alpha = self.alpha if isinstance(self.alpha, tuple) else (self.alpha,) * y.shape[-1]
        mass = beside(weights_of(alpha, y), y) * q
        surprise = jnp.where(mass == 0, jnp.zeros_like(mass), -mass * log_p)
        return jnp.sum((1 - jnp.clip(p, 0, 1)) ** self.gamma * surprise, -1), (p, log_p, mass, total)

    def slopes(self, kept: tuple[Classes, Classes, Classes, RowTotals]) -> Classes:
        """h_c - p_c Σ_k h_k; for probabilities (h_c / p_c - Σ_k h_k) / Σ y."""
        p, log_p, mass, total = kept
        wrong = 1 - jnp.clip(p, 0, 1)
        bends = (p < 1) if self.from_logits else (p > 0) & (p < 1)
        bent = jnp.where(bends, self.gamma * wrong ** (self.gamma - 1) * log_p, jnp.zeros_like(p))
        if self.from_logits:
            h = mass * (p * bent - wrong**self.gamma)
            h = jnp.where(mass == 0, jnp.zeros_like(h), h)
            return h - p * jnp.sum(h, -1, keepdims=True)
        inside = (p > CLIP) & (p < 1 - CLIP)
        by_p = mass * (bent - jnp.where(inside, wrong**self.gamma / jnp.where(inside, p, 1), jnp.zeros_like(p)))
        return (by_p - jnp.sum(by_p * p, -1, keepdims=True)) / total
