"""Weights averaged over the steps of training, beside those that are trained."""

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
    """Average the weights, and running statistics with them, after each step that counts:

        ema:   a <- decay a + (1 - decay) p
        mean:  a <- a + (p - a) / n, where n is the number of steps that have counted

    The first that counts is taken as it is. What trains, stops and is kept as the best does not look at the average;
    the model file holds it beside the weights, and its scores stand beside theirs: `run.model.averaged()`.

    See:  Polyak & Juditsky 1992; Izmailov et al. 2018, arXiv:1803.05407 (stochastic weight averaging: `mean`, with a
          large rate to the end). The numbers of PyTorch's AveragedModel with use_buffers, updated after each step.
    """

    decay: Annotated[
        Fraction,
        Words("share of the average that remains at each step", more="longer memory", less="nearer to the last weights",
              why="the last thousand steps"),
    ] = 0.999  # fmt: skip
    kind: Annotated[
        Literal["ema", "mean"], Words("`ema`: the newest weights count most; `mean`: all that count do alike")
    ] = "ema"
    after: Annotated[
        NonNegativeInt,
        Words("epochs before the first step that counts", why="0; a mean is for the end of training"),
    ] = 0

    def rule(self, steps: int) -> Average:
        """Return the rule for epochs of this many steps."""
        return Average(self.kind, self.decay, self.after * steps)

    def __str__(self) -> str:
        return f"ema {self.decay:g}" if self.kind == "ema" else f"mean after epoch {self.after}"


class Average(NamedTuple):
    """How an average goes on at each step, and at which step (from 0) it begins."""

    kind: str
    decay: float
    first: int

    def __call__(self, average: Any, new: Any, step: Array) -> Any:
        """Return the average after a step, counted from 0, that has left new weights; what is no real number is new."""
        counted = jnp.maximum(step + 1 - self.first, 1)
        share = 1 / counted if self.kind == "mean" else jnp.where(counted == 1, 1.0, 1.0 - self.decay)

        def one(a: Array, p: Array) -> Array:
            return a + share.astype(a.dtype) * (p - a) if jnp.issubdtype(p.dtype, jnp.inexact) else p

        return jax.tree.map(one, average, new)
