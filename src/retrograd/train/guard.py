"""The guard: what happens when training diverges or meets values that are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from retrograd.update.optimizer import Optimizer
from retrograd.update.optimizers import optimizers

FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5)  # of the learning rate, one after the other
CLIPPED_FROM = 1e-3  # with this factor and smaller ones gradients are clipped as well
NORM = 1.0
RISEN, THROWN = 3.0, 100.0  # times the first loss: at the end of an epoch, and in a single step
LEARNED = 0.9  # of the first loss: what is below has learned something


class Rescue(NamedTuple):
    """A mild change with which training goes on from the last healthy weights."""

    rate_factor: float
    clip: float | None = None  # the norm to which gradients are clipped

    def optimizer(self, own: Optimizer) -> Optimizer:
        """Return the optimiser with clipping, if that belongs to this rescue."""
        return dataclasses.replace(own, clip_global_norm=self.clip) if self.clip and not own.clip_global_norm else own

    def action(self, rate: float) -> str:
        """Return what is done, in words."""
        clip = f", gradients clipped to norm {self.clip:g}" if self.clip else ""
        return f"back to the last healthy weights, learning rate {rate * self.rate_factor:.3g}{clip}"

    def permanent(self, own: Optimizer, rate: float) -> str:
        """Return how the same is written in the configuration."""
        path = f"optimizer.{optimizers.name_of(type(own))}"
        clip = f" and {path}.clip_global_norm: {self.clip:g}" if self.clip else ""
        return f"{path}.learning_rate: {rate * self.rate_factor:.3g}{clip}"


def rescues() -> Iterator[Rescue]:
    """Yield the rescues, the mildest first."""
    yield from (Rescue(factor, NORM if factor <= CLIPPED_FROM else None) for factor in FACTORS)


def diverged(losses: Sequence[float], first: float) -> str | None:
    """Return in words how losses of some steps have diverged from the first loss of the run, or None.

    Diverged: the last quarter's mean is 3 times the first loss; or a step threw the loss to 100 times the first, and
    the last quarter is not clearly below the first.
    """
    seen = np.asarray(losses, float)
    if not len(seen) or not np.isfinite(seen).all() or first <= 0:
        return None
    last = float(np.mean(seen[-max(1, len(seen) // 4) :]))
    if last > RISEN * first:
        return f"the loss rose from {first:.4g} to {last:.4g}"
    if seen.max() > THROWN * first and last > LEARNED * first:
        return f"a step threw the loss from {first:.4g} to {seen.max():.4g}, and it has not come back"
    return None
