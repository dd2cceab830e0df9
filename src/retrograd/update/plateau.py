"""The schedule that reduces the rate when a metric stops improving: decided on the host, between steps."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jax import Array

from retrograd.base.annotations import Words
from retrograd.base.compilation.scalars import in_array
from retrograd.base.quantities import Fraction, NonNegativeFloat, NonNegativeInt, PositiveFloat
from retrograd.update.schedule import FALL, FIRST_RATE, Schedule, schedules


class Plateau(NamedTuple):
    """The state between evaluations; plain numbers, so that a checkpoint can store them.

    factor: multiplies the learning rate. best: the best metric so far. bad: evaluations without improvement since then.
    wait: remaining evaluations of the cooldown.
    """

    factor: float = 1.0
    best: float | None = None
    bad: int = 0
    wait: int = 0


@schedules.register("reduce_on_plateau", example={"initial": 0.1, "patience": 3, "minimum": 0.001})
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` if the metric has not improved in more than `patience` evaluations.

    A metric improves if it is below best - threshold |best| (negate a metric that should rise). After a reduction,
    `cooldown` evaluations are ignored. The rate never falls below `minimum`.

    See:  PyTorch's ReduceLROnPlateau with a relative threshold, without its `eps`. Its best (1 - threshold) lets a
          negative metric "improve" by getting worse; |best| does not. optax reduces one evaluation earlier.
    """

    formula = "rate = max(initial factor^reductions, minimum)"
    latex = r"\eta = \max(\eta_0 \, \gamma^{reductions}, \eta_{min})"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    factor: Annotated[Fraction, FALL] = 0.1
    patience: Annotated[
        NonNegativeInt,
        Words(
            "number of evaluations without improvement before the rate is reduced",
            more="waits longer",
            less="reduces sooner",
            why="10, as in PyTorch",
        ),
    ] = 10
    threshold: Annotated[
        Fraction,
        Words(
            "smallest relative decrease of the loss that counts as an improvement",
            more="reduces sooner",
            less="smaller improvements count",
            why="1e-4, as in PyTorch",
        ),
    ] = 1e-4
    cooldown: Annotated[
        NonNegativeInt,
        Words(
            "number of evaluations ignored after a reduction",
            more="waits longer",
            less="may reduce again soon",
            why="0: none",
        ),
    ] = 0
    minimum: Annotated[
        NonNegativeFloat,
        Words("lower bound of the rate", more="stops decreasing sooner", less="may decrease further", why="0: none"),
    ] = 0.0

    def rule(self, step: Array, length: int) -> Array:
        """Return the initial rate: the reductions are applied outside, as a factor."""
        return jnp.full(step.shape, in_array(self.initial))

    def observe(self, plateau: Plateau, metric: float) -> Plateau:
        """Return the state after an evaluation; lower metrics are better, and NaN counts as no improvement."""
        factor, best, bad, wait = plateau
        if not isnan(metric) and (best is None or metric < best - self.threshold * abs(best)):
            best, bad = float(metric), 0
        else:
            bad += 1
        if wait > 0:
            bad, wait = 0, wait - 1
        if bad > self.patience:
            floor = min(self.minimum / self.initial, factor)
            factor, bad, wait = max(factor * self.factor, floor), 0, self.cooldown
        return Plateau(factor, best, bad, wait)
