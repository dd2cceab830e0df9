"""The schedule that waits for a metric to stop improving: decided on the host, between steps."""

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
    """What is remembered between evaluations; plain numbers, so that a checkpoint can hold them.

    factor: multiplies the learning rate. best: the best metric so far. bad: evaluations since without improvement.
    wait: evaluations of the cooldown that are left.
    """

    factor: float = 1.0
    best: float | None = None
    bad: int = 0
    wait: int = 0


@schedules.register("reduce_on_plateau", example={"initial": 0.1, "patience": 3, "minimum": 0.001})
@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` when the metric has not improved in more than `patience` evaluations.

    A metric improves when it is below best - threshold |best| (give the negative of one that should rise). After a
    reduction, `cooldown` evaluations are not counted. The rate never falls below `minimum`.

    See:  PyTorch's ReduceLROnPlateau with a relative threshold, without its `eps`. Its best (1 - threshold) lets a
          negative metric "improve" by getting worse; |best| does not. optax's reduces one evaluation earlier.
    """

    formula = "rate = max(initial factor^reductions, minimum)"
    latex = r"\eta = \max(\eta_0 \, \gamma^{reductions}, \eta_{min})"

    initial: Annotated[PositiveFloat, FIRST_RATE]
    factor: Annotated[Fraction, FALL] = 0.1
    patience: Annotated[
        NonNegativeInt,
        Words(
            "evaluations without progress before the rate falls",
            more="waits longer",
            less="falls sooner",
            why="10, PyTorch's",
        ),
    ] = 10
    threshold: Annotated[
        Fraction,
        Words(
            "share by which the loss must fall to count as progress",
            more="falls sooner",
            less="counts smaller progress",
            why="1e-4, PyTorch's",
        ),
    ] = 1e-4
    cooldown: Annotated[
        NonNegativeInt,
        Words(
            "evaluations after a fall that do not count", more="rests longer", less="may fall again soon", why="0: none"
        ),
    ] = 0
    minimum: Annotated[
        NonNegativeFloat,
        Words("the smallest rate", more="stops falling sooner", less="may fall further", why="0: none"),
    ] = 0.0

    def rule(self, step: Array, length: int) -> Array:
        """Return the initial rate: the reductions arrive from outside, as a factor."""
        return jnp.full(step.shape, in_array(self.initial))

    def observe(self, plateau: Plateau, metric: float) -> Plateau:
        """Return what is remembered after an evaluation, lower metrics being better. NaN counts as no improvement."""
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
