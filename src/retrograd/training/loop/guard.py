"""The guard: what happens when training diverges or meets values that are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from retrograd.record.events import Intervention
from retrograd.training.config.settings import GuardMode
from retrograd.training.loop.divergence import (
    TELLING_ROWS,
    Compared,
    Condition,
    Gathered,
    diverged,
    gathered,
    suspicious,
)
from retrograd.update.optimizer import Optimizer, optimizers
from retrograd.update.schedule import Schedule, schedules

FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5)  # of the learning rate, one after the other
CLIPPED_FROM = 1e-3  # with this factor and smaller ones gradients are clipped as well
NORM = 1.0
LOOKS = 4  # after a rescue: so long it has to show that the network is no ruin
OPEN, SHUT = 0.2, 0.05  # what share of a delta a hidden activation passes on in a sound network, and in a ruined one
SOLVED = 0.1  # of the first loss: what is below needs no deltas any more
SLOWEST = 1e-3  # with smaller factors hardly anything moves, and nothing would be ruined


class Rescue(NamedTuple):
    """A mild change with which training goes on from the last healthy weights."""

    rate_factor: float
    clip: float | None = None  # the norm to which gradients are clipped

    def clipping(self, configured: Optimizer) -> float | None:
        """Return the norm to which this rescue clips what the configured optimiser does not clip already."""
        return None if configured.clip_global_norm else self.clip

    def optimizer(self, configured: Optimizer) -> Optimizer:
        """Return the configured optimiser with clipping, if that belongs to this rescue."""
        clip = self.clipping(configured)
        return dataclasses.replace(configured, clip_global_norm=clip) if clip else configured

    def action(self, configured: Optimizer, rate: float) -> str:
        """Return what is done to the configured optimiser, whose rate would be `rate`, in words."""
        clip = self.clipping(configured)
        return f"back to the last healthy weights, learning rate {rate * self.rate_factor:.3g}" + (
            f", gradients clipped to norm {clip:g}" if clip else ""
        )

    def permanent(self, configured: Optimizer) -> str:
        """Return how the same is written in the configuration; of a schedule, all its rates are lower."""
        path = f"optimizer.{optimizers.name_of(type(configured))}"
        place, rates = f"{path}.learning_rate", {"": configured.first_rate}
        if isinstance(configured.learning_rate, Schedule):
            place += f".{schedules.name_of(type(configured.learning_rate))}"
            rates = {f".{name}": rate for name, rate in configured.learning_rate.rates().items()}
        lines = [f"{place}{name}: {rate * self.rate_factor:.3g}" for name, rate in rates.items()]
        clip = self.clipping(configured)
        return " and ".join([*lines, *([f"{path}.clip_global_norm: {clip:g}"] if clip else [])])


def rescues() -> Iterator[Rescue]:
    """Yield the rescues, the mildest first."""
    yield from (Rescue(factor, NORM if factor <= CLIPPED_FROM else None) for factor in FACTORS)


class Memory(NamedTuple):
    """What a guard remembers that its interventions do not tell."""

    first_loss: float
    is_sure: bool  # whether the first loss is more than chance
    watched: int  # looks that are left
    passed: dict[str, float]  # before the first of the rescues that are watched


class Guard:
    """Judges the losses of a run, and keeps account of what is done about them.

    `configured` is the optimiser before any rescue; `announce` gets each intervention.
    """

    def __init__(self, mode: GuardMode, configured: Optimizer, announce: Callable[[Intervention], None]) -> None:
        self.mode, self.configured, self.announce = mode, configured, announce
        self.interventions: list[Intervention] = []
        self._left = list(rescues())
        self.memory = Memory(np.nan, False, 0, {})

    def restore(self, memory: Memory, interventions: Sequence[Intervention]) -> None:
        """Go on with what another guard knew, and had done."""
        self.memory, self.interventions = memory, list(interventions)
        if self.mode == "repair":
            del self._left[: len(interventions)]

    def judged(self, losses: np.ndarray, rows: np.ndarray, step: int, compared: Compared) -> str | None:
        """Return in words what went wrong in the steps from `step` on, if that is to be acted on.

        Shapes:  losses [steps], rows [steps]: how many rows each step's loss is the mean of
        """
        steps = gathered(losses, rows)
        if np.isnan(self.memory.first_loss) and len(losses):
            self._remember(first_loss=float(losses[0]), is_sure=bool(rows[0] >= TELLING_ROWS))
        if self.mode == "off":
            return None
        grown = None
        if suspicious(losses, steps, self.memory.first_loss):
            if not self.memory.is_sure:  # the first row may have been easy
                there = compared.first(steps.last().steps)
                self._remember(is_sure=True, first_loss=max(self.memory.first_loss, there))
            grown = diverged(losses, steps, self.memory.first_loss, compared)
        if grown and self.mode == "warn":
            if not self.interventions:
                self._tell(Intervention(step, grown, "nothing: guard is `warn`", "training.guard: repair"))
            return None
        return grown or self._ruined(steps, compared)

    def _ruined(self, steps: Gathered, compared: Compared) -> str | None:
        """Return in words how a rescue has left a network that cannot learn, though its loss is no larger."""
        memory = self.memory
        if not memory.watched:
            return None
        is_rates_fault = self._left and self._left[0].rate_factor >= SLOWEST
        if is_rates_fault and steps.at_the_end() >= SOLVED * memory.first_loss:
            now = compared.condition().passed
            shut = [name for name, share in now.items() if share < SHUT and memory.passed[name] > OPEN]
            if shut:
                worst = min(shut, key=now.__getitem__)
                return f"{worst} passes {now[worst]:.1%} of the deltas on, {memory.passed[worst]:.0%} before the rescue"
        self._remember(watched=memory.watched - 1)
        return None

    def rescue(self, step: int, reason: str, rate: float, before: Callable[[], Condition]) -> Rescue | None:
        """Return the mildest rescue that has not been tried; None to give up. `rate` is the schedule's at the step."""
        rescue = self._left.pop(0) if self.mode == "repair" and self._left else None
        if rescue is not None:
            passed = self.memory.passed if self.memory.watched else before().passed
            self._remember(watched=LOOKS, passed=passed)
            action, permanent = rescue.action(self.configured, rate), rescue.permanent(self.configured)
            self._tell(
                Intervention(step, reason, action, permanent, rescue.rate_factor, rescue.clipping(self.configured))
            )
        return rescue

    def _remember(self, **fields: Any) -> None:
        self.memory = self.memory._replace(**fields)

    def _tell(self, event: Intervention) -> None:
        self.interventions.append(event)
        self.announce(event)
