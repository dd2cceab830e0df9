"""Cross-entropy of independent binary answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import ShapeError
from retrograd.base.quantities import Fraction, PositiveFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.loss import CLIP, FROM_LOGITS, SMOOTHED_LABELS, Loss, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Elements


@losses.register(
    "binary_cross_entropy",
    examples=examples(
        ({}, [(5, 1), Input((5, 1), "binary")]),
        ({"positive_weight": 2.0, "label_smoothing": 0.1}, [(1, 2), Input((1, 2), "binary")]),
        ({"positive_weight": [0.5, 2.0, 3.0], "reduction": "sum"}, [(4, 3), Input((4, 3), "binary"), (4,)]),
        ({"from_logits": False, "positive_weight": 3.0}, [Input((4, 3), "probabilities"), Input((4, 3), "binary")]),
    ),
)
@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Average the surprise at each answer t, given a logit y (or, with `from_logits: false`, a probability).

        L = -1/n sum (w t log p + (1 - t) log(1 - p)),  p = 1 / (1 + exp(-y))

    positive_weight: w, for all outputs or for each. label_smoothing: t becomes (1 - e) t + e / 2.

    Shapes:  y [batch, ...], t the same, numbers from 0 to 1 -> scalar
    Tape:    y, exp(-|y|) for logits, w t, 1 - t
    Raises:  ShapeError if the numbers of positive weights and outputs differ
    See:     computed as w t softplus(-y) + (1 - t) softplus(y), which is finite for every logit. Probabilities are
             clipped to [1e-7, 1 - 1e-7], with gradient 0 outside, as in Keras; PyTorch clamps the logarithm at -100.
    """

    positive_weight: Annotated[
        PositiveFloat | tuple[PositiveFloat, ...],
        Words(
            "weight of a positive example",
            more="more positives detected, more false alarms",
            less="fewer false alarms",
            why="1: both classes weigh the same",
        ),
    ] = 1.0
    label_smoothing: Annotated[Fraction, SMOOTHED_LABELS] = 0.0
    from_logits: Annotated[bool, FROM_LOGITS] = True

    equations = Equations(
        forward="L = -1/n Σ (w t log p + (1 - t) log(1 - p)), p = σ(y)",
        backward=("dL/dy = 1/n ((1 - t) p - w t (1 - p)), which is (p - t)/n for w = 1",),
        latex_forward=r"L = -\frac{1}{n} \sum \left( w t \log p + (1 - t) \log (1 - p) \right), \quad p = \sigma(y)",
        latex_backward=(r"\frac{\partial L}{\partial y} = \frac{1}{n} \left( (1 - t) p - w t (1 - p) \right)",),
    )

    @override
    def written(self) -> Equations:
        w = "" if self.positive_weight == 1 else "w "
        y, latex_y = ("p = σ(y)", r"p = \sigma(y)") if self.from_logits else ("p = y", "p = y")
        e = self.label_smoothing
        smoothed = f", t = {1 - e:g} target + {e / 2:g}" if e else ""
        if not self.from_logits:
            slope, latex = (
                f"1/n ((1 - t) / (1 - p) - {w}t / p)",
                rf"\frac{{1}}{{n}} \left( \frac{{1 - t}}{{1 - p}} - \frac{{{w}t}}{{p}} \right)",
            )
        elif w:
            slope, latex = "1/n ((1 - t) p - w t (1 - p))", r"\frac{1}{n} \left( (1 - t) p - w t (1 - p) \right)"
        else:
            slope, latex = "1/n (p - t)", r"\frac{1}{n} (p - t)"
        return Equations(
            forward=f"L = -1/n Σ ({w}t log p + (1 - t) log(1 - p)), {y}{smoothed}",
            backward=(f"dL/dy = {slope}",),
            latex_forward=rf"L = -\frac{{1}}{{n}} \sum \left( {w}t \log p + (1 - t) \log (1 - p) \right)"
            rf", \quad {latex_y}",
            latex_backward=(rf"\frac{{\partial L}}{{\partial y}} = {latex}",),
        )

    @override
    def terms(self, y: Elements, t: Elements) -> tuple[Elements, tuple[Elements, ...]]:
        t = (1 - self.label_smoothing) * t + self.label_smoothing / 2 if self.label_smoothing else t
        yes, no = self._weights(t) * t, 1 - t  # weights of log p and log(1 - p)
        if self.from_logits:
            small = jnp.exp(-jnp.abs(y))
            rest = jnp.log1p(small)  # softplus(y) = max(y, 0) + log(1 + exp(-|y|))
            return yes * (jnp.maximum(-y, 0) + rest) + no * (jnp.maximum(y, 0) + rest), (y, small, yes, no)
        p = jnp.clip(y, CLIP, 1 - CLIP)
        return -(yes * jnp.log(p) + no * jnp.log1p(-p)), (y, yes, no)

    def slopes(self, kept: tuple[Elements, ...]) -> Elements:
        """Logits: (1 - t) p - w t (1 - p). Probabilities: (1 - t) / (1 - p) - w t / p inside the clip, 0 outside."""
        if self.from_logits:
            y, small, yes, no = kept
            p, other = jnp.where(y >= 0, 1, small) / (1 + small), jnp.where(y >= 0, small, 1) / (1 + small)
            return no * p - yes * other  # 1 - p has a separate formula, so that no digits cancel
        p, yes, no = kept
        return jnp.where((p > CLIP) & (p < 1 - CLIP), no / (1 - p) - yes / p, jnp.zeros_like(p))

    def _weights(self, t: Array) -> Array:
        weights = jnp.asarray(self.positive_weight, t.dtype)
        if weights.ndim and weights.shape != t.shape[-1:]:
            outputs = t.shape[-1] if t.ndim else 1
            message = f"expected {outputs} positive weights, one for each output, got {weights.size}"
            raise ShapeError(message, where="positive_weight")
        return jnp.broadcast_to(weights, t.shape) if weights.ndim else weights
