"""The loss of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "poisson_nll",
    examples=examples(
        ({}, [(5, 3), Input((5, 3), "positive")]),
        (
            {"log_input": False, "full": True, "reduction": "sum"},
            [Input((1, 2), "positive"), Input((1, 2), "positive"), (1,)],
        ),
    ),
)
@dataclass(frozen=True)
class PoissonNLL(Loss):
    """Average the surprise at counts t, given the logarithm y of the event rate.

        L = 1/n sum (exp(y) - t y)

    With `log_input: false` y is the rate itself. `full` adds log t! (Stirling's approximation, where t > 1), which has
    no gradient.

    Shapes:  y [batch, ...], t the same, not negative -> scalar
    Tape:    y, t
    See:     PyTorch's poisson_nll_loss; Keras's Poisson takes rates.
    """

    log_input: Annotated[
        bool, Words("whether the prediction is the logarithm of the rate", why="true: any number is valid then")
    ] = True
    full: Annotated[bool, Words("whether log t! is added: changes no gradient", why="false: as PyTorch")] = False
    eps: Annotated[PositiveFloat, Words("added to a rate before its logarithm", why="PyTorch's")] = 1e-8

    equations = Equations(
        forward="L = 1/n Σ (exp(y) - t y)",
        backward=("dL/dy = 1/n (exp(y) - t)",),
        latex_forward=r"L = \frac{1}{n} \sum (e^y - t y)",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} (e^y - t)",),
    )

    @override
    def written(self) -> Equations:
        if self.log_input:
            return self.equations
        return Equations(
            forward="L = 1/n Σ (y - t log(y + eps))",
            backward=("dL/dy = 1/n (1 - t / (y + eps))",),
            latex_forward=r"L = \frac{1}{n} \sum (y - t \log(y + \epsilon))",
            latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \left( 1 - \frac{t}{y + \epsilon} \right)",),
        )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, Elements]]:
        terms = jnp.exp(y) - t * y if self.log_input else y - t * jnp.log(y + self.eps)
        if self.full:
            many = jnp.maximum(t, 1)
            stirling = many * jnp.log(many) - many + 0.5 * jnp.log(2 * jnp.pi * many)
            terms = terms + jnp.where(t > 1, stirling, jnp.zeros_like(t))
        return terms, (y, t)

    def slopes(self, kept: tuple[Elements, Elements]) -> Elements:
        """exp(y) - t; of a rate 1 - t / (y + eps)."""
        y, t = kept
        return jnp.exp(y) - t if self.log_input else 1 - t / (y + self.eps)
