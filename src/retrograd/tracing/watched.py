"""The compiled programs of a run, with somebody looking on at every dispatch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from retrograd.update.optimizer import Optimizer
from retrograd.update.step import Stepper

Watch = Callable[[Stepper, Any], Any]  # gives, for a program of a stepper, one that does the same and tells of it


class Watched(Stepper):
    """A step whose compiled programs stand inside `watch`, those with a guard's other optimiser too."""

    def __init__(self, own: Stepper, watch: Watch, gradient_norm: bool = False) -> None:
        norm = gradient_norm or own.gradient_norm
        super().__init__(
            own.network, own.objectives, own.optimizer, own.penalties, own.total_steps, norm, own.precision, own.freeze
        )
        self.watch = watch
        self.many = watch(self, self.many)
        self.single = watch(self, self.single)

    def with_optimizer(self, optimizer: Optimizer) -> Stepper:
        """Return the watched step with another schedule, clipping or decay of the same optimiser."""
        return Watched(super().with_optimizer(optimizer), self.watch)
