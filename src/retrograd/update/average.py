"""Weights averaged over the steps of training, kept alongside the trained weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from retrograd.base.annotations import Words
from retrograd.base.quantities import Fraction, NonNegativeInt
from retrograd.base.schema import Settings


@dataclass(frozen=True)
class Averaging(Settings):
    """Average the weights, and the running statistics with them, after each step from epoch `after` on:

        ema:   a <- decay a + (1 - decay) p
        mean:  a <- a + (p - a) / n, where n is the number of steps averaged

    The average starts as the weights of the first such step. Training, stopping and the choice of the best epoch ignore
    it; the model file stores it alongside the weights, as are its scores: `run.model.averaged()`.

    See:  Polyak & Juditsky 1992; Izmailov et al. 2018, arXiv:1803.05407 (stochastic weight averaging: `mean`, with a
          large rate to the end). The numbers of PyTorch's AveragedModel with use_buffers, updated after each step.
    """

    decay: Annotated[
        Fraction,
        Words("decay rate of the average per step", more="longer memory", less="closer to the last weights",
              why="about the last thousand steps"),
    ] = 0.999  # fmt: skip
    kind: Annotated[Literal["ema", "mean"], Words("`ema`: recent weights count more; `mean`: all count equally")] = (
        "ema"
    )
    after: Annotated[
        NonNegativeInt,
        Words("number of epochs before averaging starts", why="0; a mean is for the end of training"),
    ] = 0

    def rule(self, steps: int) -> Average:
        """Return the rule for epochs of this many steps."""
        return Average(self.kind, self.decay, self.after * steps)

    def __str__(self) -> str:
        return f"ema {self.decay:g}" if self.kind == "ema" else f"mean after epoch {self.after}"


class Average(NamedTuple):
    """The rule by which an average is updated, and the step (from 0) at which it starts."""

    kind: str
    decay: float
    first: int

    def __call__(self, average: Any, new: Any, step: Array) -> Any:
        """Update the average with the weights after a step, counted from 0; arrays that are not real are replaced."""
        count = jnp.maximum(step + 1 - self.first, 1)
        share = 1 / count if self.kind == "mean" else jnp.where(count == 1, 1.0, 1.0 - self.decay)

        def one(a: Array, p: Array) -> Array:
            return a + share.astype(a.dtype) * (p - a) if jnp.issubdtype(p.dtype, jnp.inexact) else p

        return jax.tree.map(one, average, new)
