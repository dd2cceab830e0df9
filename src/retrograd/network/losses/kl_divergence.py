"""Kullback-Leibler divergence between two distributions over classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import FROM_LOGITS, Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Classes, Rows


@losses.register(
    "kl_divergence",
    examples=examples(
        ({}, [(5, 4), Input((5, 4), "probabilities")]),
        ({"reduction": "sum"}, [(1, 3), Input((1, 3), "probabilities"), (1,)]),
        (
            {"from_logits": False},
            [Input((2, 3, 4), "probabilities"), Input((2, 3, 4), "probabilities"), Input((2, 3), "mask")],
        ),
    ),
)
@dataclass(frozen=True)
class KLDivergence(Loss):
    """Average the nats that a code for p wastes on rows distributed as q, the target.

        L = 1/n sum_rows sum_c q_c (log q_c - log p_c),  p = softmax(y)

    With `from_logits: false` y holds probabilities. A class with q_c = 0 does not count.

    Shapes:  y [batch, ..., classes], q the same -> scalar
    Tape:    p, q
    See:     the gradient is that of cross_entropy on q; the value is 0 where p = q. PyTorch's kl_div takes log p, and
             its `batchmean` is the mean here if there is one row per example.
    """

    from_logits: Annotated[bool, FROM_LOGITS] = True

    terms_for = "row"
    equations = Equations(
        forward="L = 1/n Σ_rows Σ_c q_c (log q_c - log p_c), p = softmax(y)",
        backward=("dL/dy_c = 1/n (p_c Σ_k q_k - q_c)",),
        latex_forward=(
            r"L = \frac{1}{n} \sum_{rows} \sum_c q_c \log \frac{q_c}{p_c}, \quad p = \operatorname{softmax}(y)"
        ),
        latex_backward=(
            r"\frac{\partial L}{\partial y_c} = \frac{1}{n} \left( p_c \textstyle\sum_k q_k - q_c \right)",
        ),
    )

    @override
    def written(self) -> Equations:
        if self.from_logits:
            return self.equations
        return Equations(
            forward="L = 1/n Σ_rows Σ_c q_c (log q_c - log p_c), p = y",
            backward=("dL/dy_c = -1/n q_c / p_c",),
            latex_forward=r"L = \frac{1}{n} \sum_{rows} \sum_c q_c \log \frac{q_c}{p_c}, \quad p = y",
            latex_backward=(r"\frac{\partial L}{\partial y_c} = -\frac{1}{n} \frac{q_c}{p_c}",),
        )

    @override
    def terms(self, y: Classes, q: Classes) -> tuple[Rows, tuple[Classes, Classes]]:
        if self.from_logits:
            shifted = y - jnp.max(y, -1, keepdims=True)
            log_p = shifted - jnp.log(jnp.sum(jnp.exp(shifted), -1, keepdims=True))
            p = jnp.exp(log_p)
        else:
            log_p, p = jnp.log(jnp.where(q == 0, jnp.ones_like(y), y)), y
        log_q = jnp.log(jnp.where(q == 0, jnp.ones_like(q), q))
        return jnp.sum(jnp.where(q == 0, jnp.zeros_like(q), q * (log_q - log_p)), -1), (p, q)

    def slopes(self, kept: tuple[Classes, Classes]) -> Classes:
        """p_c Σ_k q_k - q_c; for probabilities -q_c / p_c."""
        p, q = kept
        if self.from_logits:
            return p * jnp.sum(q, -1, keepdims=True) - q
        return -q / jnp.where(q == 0, jnp.ones_like(p), p)
