"""Dice loss: how little two regions overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import Integer, NonNegativeFloat
from retrograd.network.layer import Equations, Input, examples
from retrograd.network.losses.labels import beside, read_labels
from retrograd.network.losses.loss import FROM_LOGITS, Loss, computing_dtype, losses

if TYPE_CHECKING:
    from retrograd.network.losses.shapes import Examples, KeptOfDice, RegionLabels, Regions


@losses.register(
    "dice",
    examples=examples(
        ({}, [(3, 4, 5, 1), Input((3, 4, 5, 1), "binary")]),
        ({"smoothing": 0.5, "reduction": "sum"}, [(1, 3, 3, 2), Input((1, 3, 3), "labels", classes=2), (1,)]),
        ({"ignored": 2, "squared": True}, [(2, 3, 4, 3), Input((2, 3, 4), "labels", classes=3), Input((2,), "mask")]),
        (
            {"background": False, "from_logits": False},
            [Input((2, 5, 3), "probabilities"), Input((2, 5, 3), "probabilities")],
        ),
    ),
)
@dataclass(frozen=True)
class Dice(Loss):
    """Average over examples and classes how little the predicted region p overlaps the true one, q.

        L = 1 - mean of (2 sum p q + s) / (sum p + sum q + s),  sums over the places of one example

    p is the softmax over classes, of a single class the sigmoid; with `from_logits: false` y is p. `smoothing`: s,
    which makes a class that is neither there nor predicted count as right. squared: sums of p² and q² below the line.
    background: whether class 0 counts. ignored: a label whose places are left out.

    Shapes:  y [batch, ..., classes], t labels [batch, ...] or numbers from 0 to 1 [batch, ..., classes] -> scalar;
             mask and weight [batch]
    Tape:    p, q, which places count, the two sums
    Raises:  ShapeError when the target is neither, or there are no places between batch and classes.
    See:     Milletari et al. 2016, arXiv:1606.04797 (squared). Overlap is measured in each image, not in the batch.
    """

    smoothing: Annotated[
        NonNegativeFloat,
        Words(
            "added to both counts, so that an empty class has a value",
            more="softer for small areas",
            less="sharper for small areas",
        ),
    ] = 1.0
    squared: Annotated[bool, Words("whether the denominator sums squares", why="false: plain sums")] = False
    background: Annotated[bool, Words("whether class 0 counts")] = True
    ignored: Annotated[Integer | None, Words("the label of rows that do not count")] = None
    from_logits: Annotated[bool, FROM_LOGITS] = True

    equations = Equations(
        forward="L = 1/n Σ mean_c (1 - A/B), A = 2 Σ p q + s, B = Σ p + Σ q + s, p = softmax(y) or σ(y)",
        backward=(
            "dL/dp = 1/(n classes) (A - 2 q B) / B²",
            "dL/dy_c = p_c (dp_c - Σ_k dp_k p_k); of a single class dp p (1 - p)",
        ),
        latex_forward=r"L = \frac{1}{n} \sum \left( 1 - \frac{2 \sum p q + s}{\sum p + \sum q + s} \right)",
        latex_backward=(r"\frac{\partial L}{\partial p} = \frac{A - 2 q B}{n B^2}",),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.squared and not self.smoothing:
            yield Problem("smoothing", "0 divides by 0 where all p are 0", "a small positive number")

    @override
    def written(self) -> Equations:
        made, p = self.equations, "p = softmax(y) or σ(y)" if self.from_logits else "p = y"
        backward = made.backward if self.from_logits else made.backward[:1]
        forward = made.forward.replace("p = softmax(y) or σ(y)", p)
        if not self.squared:
            return made._replace(forward=forward, backward=backward)
        return Equations(
            forward=forward.replace("B = Σ p + Σ q", "B = Σ p² + Σ q²"),
            backward=(backward[0].replace("(A - 2 q B)", "(2 p A - 2 q B)"), *backward[1:]),
            latex_forward=made.latex_forward.replace(r"\sum p + \sum q", r"\sum p^2 + \sum q^2"),
            latex_backward=(made.latex_backward[0].replace("A - 2 q B", "2 p A - 2 q B"),),
        )

    @override
    def terms(
        self,
        y: Regions,
        t: Regions | RegionLabels,
    ) -> tuple[Examples, KeptOfDice]:
        p = _shares(y) if self.from_logits else y
        q, places = self._target(t, y)
        overlap = 2 * self._sum(p * q * places) + self.smoothing
        size = self._sum((p * p + q * q if self.squared else p + q) * places) + self.smoothing
        ratio = jnp.where(size == 0, jnp.ones_like(size), overlap / jnp.where(size == 0, jnp.ones_like(size), size))
        return jnp.mean(1 - ratio, -1), (p, q, places, overlap, size)

    def slopes(self, kept: KeptOfDice) -> Regions:
        """dp = (A - 2 q B) / B² / classes, then back through softmax or sigmoid."""
        p, q, places, overlap, size = kept
        a, b = (self._widened(each, p) for each in (overlap, size))
        b = jnp.where(b == 0, jnp.ones_like(b), b)
        dp = places * ((2 * p if self.squared else 1.0) * a - 2 * q * b) / (b * b) / overlap.shape[-1]
        if not self.background:
            dp = dp.at[..., 0].set(0)
        if not self.from_logits:
            return dp
        if p.shape[-1] == 1:
            return dp * p * (1 - p)
        return p * (dp - jnp.sum(dp * p, -1, keepdims=True))

    def read_target(self, prediction: Array, target: Array) -> Array:
        """Return labels as they are, regions in the dtype of the computation."""
        classes = prediction.shape[-1]
        if prediction.ndim < 3 or (classes == 1 and not self.background):
            raise ShapeError(f"expected (batch, places, classes), got {tuple(prediction.shape)}",
                             cure="dice compares regions of images or sequences")  # fmt: skip
        if target.shape == prediction.shape:
            return target.astype(computing_dtype(prediction))
        if target.shape != prediction.shape[:-1]:
            raise ShapeError(f"expected labels {prediction.shape[:-1]} or regions {prediction.shape}, "
                             f"got {tuple(target.shape)}", cure="reshape the target")  # fmt: skip
        if classes == 1:
            return target[..., None].astype(computing_dtype(prediction))
        if not jnp.issubdtype(target.dtype, jnp.integer):
            raise ShapeError(f"labels of {classes} classes are integers, found {target.dtype}")
        return target

    def term_shape(self, prediction: Any) -> tuple[int, ...]:
        """Return one term an example."""
        return tuple(prediction.shape[:1])

    def _target(self, t: Array, y: Array) -> tuple[Array, Array]:
        """Return the true regions [batch, ..., classes] and which places count [batch, ..., 1]."""
        if t.ndim == y.ndim:
            return t, jnp.ones_like(y[..., :1])
        chosen, valid = read_labels(t[..., None], y.shape[-1], self.ignored, y.dtype)
        return (chosen == beside(jnp.arange(y.shape[-1], dtype=chosen.dtype), y)).astype(y.dtype), valid

    def _sum(self, x: Array) -> Array:
        """Return the sums over the places [batch, classes]."""
        sums = jnp.sum(x, tuple(range(1, x.ndim - 1)))
        return sums if self.background else sums[:, 1:]

    def _widened(self, sums: Array, p: Array) -> Array:
        """Return the sums as they stand beside p; those of the background, if it does not count, are of no account."""
        sums = sums if self.background else jnp.concatenate([jnp.ones_like(sums[:, :1]), sums], -1)
        return sums.reshape(len(sums), *(1,) * (p.ndim - 2), -1)


def _shares(y: Array) -> Array:
    """Return the softmax over classes; of a single one the sigmoid."""
    if y.shape[-1] == 1:
        return 0.5 * jnp.tanh(0.5 * y) + 0.5
    exponentials = jnp.exp(y - jnp.max(y, -1, keepdims=True))
    return exponentials / jnp.sum(exponentials, -1, keepdims=True)
