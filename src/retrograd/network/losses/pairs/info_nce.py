"""InfoNCE: identifying each example's partner among those of the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import jax.numpy as jnp
from jax import Array
from typing_extensions import override

from retrograd.base.annotations import Words
from retrograd.base.errors import Problem, ShapeError
from retrograd.base.quantities import PositiveFloat
from retrograd.network.layer import Backward, Context, Equations, Forward, Params, State, Static, examples
from retrograd.network.losses.loss import Loss, losses, without_rows
from retrograd.network.losses.pairs.distances import read_embeddings

SHORTEST = 1e-12  # the smallest squared length to divide by


@losses.register(
    "info_nce",
    examples=examples(
        ({}, [(4, 3), (4, 3)]),
        ({"temperature": 0.5, "symmetric": False, "reduction": "sum"}, [(1, 2), (1, 2)]),
    ),
)
@dataclass(frozen=True)
class InfoNCE(Loss):
    """Average the surprise at each row's partner being the one, among all rows of the batch.

        L = -1/n sum_i log softmax_j(a_i b_j / temperature) at j = i,  a and b normalised to length 1

    Two outputs of one network, two views of each example: `losses: {left: {loss: info_nce, target: right}}`.
    symmetric: the mean of both directions, a among b and b among a.

    Shapes:  a, b [batch, features] -> scalar
    Tape:    unit vectors, lengths, the derivative by each similarity
    Raises:  ShapeError if a and b differ in shape.
    See:     van den Oord et al. 2018, arXiv:1807.03748; symmetric: Radford et al. 2021. The others in the batch are
             the negatives: with `accumulate`, only those of the micro-batch. It takes no sample weights.
    """

    temperature: Annotated[
        PositiveFloat,
        Words(
            "divisor of the similarities",
            more="a softer choice among the pairs",
            less="a harder choice; larger gradients",
        ),
    ] = 0.1
    symmetric: Annotated[bool, Words("whether both sides choose their partner")] = True

    predictions = 2
    targets = 0
    terms_for = "example"
    equations = Equations(
        forward="L = -1/n Σ_i log p_ii, p = softmax over rows of S, S = â b̂ᵀ / τ, â = a/|a|, b̂ = b/|b|",
        backward=(
            "dS = (p - 1) / n, the mean with that of the columns",
            "dâ = dS b̂ / τ, db̂ = dSᵀ â / τ",
            "da = (dâ - â (â · dâ)) / |a|, db likewise",
        ),
        latex_forward=(
            r"L = -\frac{1}{n} \sum_i \log \frac{\exp S_{ii}}{\sum_j \exp S_{ij}},"
            r" \quad S = \hat a \hat b^\top / \tau"
        ),
        latex_backward=(
            r"\delta_S = \frac{1}{n} (p - I)",
            r"\delta_a = (I - \hat a \hat a^\top) \delta_{\hat a} / \|a\|",
        ),
    )

    @override
    def rules(self) -> Iterator[Problem]:
        if self.reduction == "none":
            yield Problem("reduction", "expected mean or sum: each row is a negative of all others")

    @override
    def written(self) -> Equations:
        if self.symmetric:
            return self.equations
        return self.equations._replace(backward=("dS = (p - 1) / n", *self.equations.backward[1:]))

    @override
    def forward(self, params: Params, state: State, ctx: Context, *inputs: Array) -> Forward:
        (a, b), further = self.sort(inputs)
        if further != (None, None):
            raise ShapeError("it takes neither mask nor sample weight: each row is a negative of all others")
        if a.shape[:1] == (0,):
            return self.of_no_rows(inputs)
        (a_unit, a_length), (b_unit, b_length) = map(_unit, read_embeddings((a, b)))
        similarity = a_unit @ b_unit.T / self.temperature
        value, slopes = _diagonal_surprise(similarity)
        if self.symmetric:
            other, turned = _diagonal_surprise(similarity.T)
            value, slopes = 0.5 * (value + other), 0.5 * (slopes + turned.T)
        factor = self.factor(a, b)
        tape = ((a_unit, a_length), (b_unit, b_length), slopes, factor, Static((a.dtype, b.dtype)))
        return Forward(factor * value, tape)

    def backward(self, params: Params, tape: Any, dy: Array) -> Backward:
        """dS = p - 1, through the products, and across each vector (its length does not count)."""
        if isinstance(tape, Static):
            return without_rows(tape)
        a, b, slopes, factor, static = tape
        slopes = slopes * (dy * factor / self.temperature)
        deltas = (_unit_back(a, slopes @ b[0]), _unit_back(b, slopes.T @ a[0]))
        return Backward(tuple(delta.astype(dtype) for delta, dtype in zip(deltas, static.value, strict=True)))


def _unit(x: Array) -> tuple[Array, Array]:
    length = jnp.sqrt(jnp.maximum(jnp.sum(x * x, -1, keepdims=True), SHORTEST))
    return x / length, length


def _unit_back(tape: tuple[Array, Array], dy: Array) -> Array:
    unit, length = tape
    return (dy - unit * jnp.sum(unit * dy, -1, keepdims=True)) / length


def _diagonal_surprise(scores: Array) -> tuple[Array, Array]:
    """Return -sum_i log softmax(row i) at i, and its derivative by the scores."""
    top = jnp.max(scores, -1, keepdims=True)
    exponentials = jnp.exp(scores - top)
    total = jnp.sum(exponentials, -1, keepdims=True)
    partners = jnp.diagonal(scores)[:, None]
    return jnp.sum(jnp.log(total) + top - partners), exponentials / total - jnp.eye(len(scores), dtype=scores.dtype)
