"""The schedule that waits for a metric to stop improving: decided on the host, between steps."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from retrograd.base.annotations import describing
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

    initial: PositiveFloat
    factor: Fraction = 0.1
    patience: NonNegativeInt = 10
    threshold: Fraction = 1e-4
    cooldown: NonNegativeInt = 0
    minimum: NonNegativeFloat = 0.0

    words = describing(
        initial=FIRST_RATE,
        factor=FALL,
        patience=(
            "evaluations without progress before the rate falls",
            "waits longer",
            "falls sooner",
            "10, PyTorch's",
        ),
        threshold=(
            "share by which the loss must fall to count as progress",
            "falls sooner",
            "counts smaller progress",
            "1e-4, PyTorch's",
        ),
        cooldown=("evaluations after a fall that do not count", "rests longer", "may fall again soon", "0: none"),
        minimum=("the smallest rate", "stops falling sooner", "may fall further", "0: none"),
    )

    def rule(self, step: Array, length: int) -> Array:
        """Return the initial rate: the reductions arrive from outside, as a factor."""
        return jnp.full(step.shape, self.initial)

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
