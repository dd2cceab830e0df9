"""The guard: what happens when training diverges or produces non-finite values."""

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

FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5)  # of the learning rate, tried in turn
CLIPPED_FROM = 1e-3  # gradients are clipped as well at this factor and below
NORM = 1.0
LOOKS = 4  # inspections after a rescue in which to notice that the network is ruined
OPEN, SHUT = 0.2, 0.05  # share of a delta that a hidden activation passes on in a sound network, and in a ruined one
SOLVED = 0.1  # of the first loss: below it, deltas may vanish because the task is solved
SLOWEST = 1e-3  # with smaller factors weights hardly move, so nothing gets ruined


class Rescue(NamedTuple):
    """A milder setting with which training continues from the last healthy weights."""

    rate_factor: float
    clip: float | None = None  # the norm to which gradients are clipped

    def clipping(self, configured: Optimizer) -> float | None:
        """Return the norm to which this rescue clips gradients, unless the configured optimizer already clips."""
        return None if configured.clip_global_norm else self.clip

    def optimizer(self, configured: Optimizer) -> Optimizer:
        """Return the configured optimizer, with clipping if this rescue includes it."""
        clip = self.clipping(configured)
        return dataclasses.replace(configured, clip_global_norm=clip) if clip else configured

    def action(self, configured: Optimizer, rate: float) -> str:
        """Describe what is done to the configured optimizer, whose rate would be `rate`."""
        clip = self.clipping(configured)
        return f"back to the last healthy weights, learning rate {rate * self.rate_factor:.3g}" + (
            f", gradients clipped to norm {clip:g}" if clip else ""
        )

    def permanent(self, configured: Optimizer) -> str:
        """Return the equivalent settings in the configuration; in a schedule, all rates are lowered."""
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
    """What a guard remembers beyond its interventions."""

    first_loss: float
    is_sure: bool  # whether the first loss is reliable
    watched: int  # inspections left
    passed: dict[str, float]  # shares before the first rescue under observation


class Guard:
    """Judges the losses of a run, and records the interventions.

    `configured` is the optimizer before any rescue; `announce` receives each intervention.
    """

    def __init__(self, mode: GuardMode, configured: Optimizer, announce: Callable[[Intervention], None]) -> None:
        self.mode, self.configured, self.announce = mode, configured, announce
        self.interventions: list[Intervention] = []
        self._left = list(rescues())
        self.memory = Memory(np.nan, False, 0, {})

    def restore(self, memory: Memory, interventions: Sequence[Intervention]) -> None:
        """Take over the memory and interventions of another guard."""
        self.memory, self.interventions = memory, list(interventions)
        if self.mode == "repair":
            del self._left[: len(interventions)]

    def judged(self, losses: np.ndarray, rows: np.ndarray, step: int, compared: Compared) -> str | None:
        """Describe what went wrong in the steps from `step` on; None if nothing is to be done about it.

        Shapes:  losses [steps], rows [steps]: the number of rows that each step's loss averages
        """
        steps = gathered(losses, rows)
        if np.isnan(self.memory.first_loss) and len(losses):
            self._remember(first_loss=float(losses[0]), is_sure=bool(rows[0] >= TELLING_ROWS))
        if self.mode == "off":
            return None
        divergence = None
        if suspicious(losses, steps, self.memory.first_loss):
            if not self.memory.is_sure:  # the first rows may have been easy
                initial = compared.first(steps.last().steps)
                self._remember(is_sure=True, first_loss=max(self.memory.first_loss, initial))
            divergence = diverged(losses, steps, self.memory.first_loss, compared)
        if divergence and self.mode == "warn":
            if not self.interventions:
                self._announce(Intervention(step, divergence, "nothing: guard is `warn`", "training.guard: repair"))
            return None
        return divergence or self._ruined(steps, compared)

    def _ruined(self, steps: Gathered, compared: Compared) -> str | None:
        """Describe how a rescue has left a network that cannot learn although its loss has not risen."""
        memory = self.memory
        if not memory.watched:
            return None
        is_rates_fault = self._left and self._left[0].rate_factor >= SLOWEST
        if is_rates_fault and steps.at_the_end() >= SOLVED * memory.first_loss:
            now = compared.condition().passed
            shut = [name for name, share in now.items() if share < SHUT and memory.passed[name] > OPEN]
            if shut:
                worst = min(shut, key=now.__getitem__)
                return f"{worst} passes on {now[worst]:.1%} of the deltas, {memory.passed[worst]:.0%} before the rescue"
        self._remember(watched=memory.watched - 1)
        return None

    def rescue(self, step: int, reason: str, rate: float, before: Callable[[], Condition]) -> Rescue | None:
        """Return the mildest rescue not yet tried; None to give up. `rate` is the schedule's at this step."""
        rescue = self._left.pop(0) if self.mode == "repair" and self._left else None
        if rescue is not None:
            passed = self.memory.passed if self.memory.watched else before().passed
            self._remember(watched=LOOKS, passed=passed)
            action, permanent = rescue.action(self.configured, rate), rescue.permanent(self.configured)
            self._announce(
                Intervention(step, reason, action, permanent, rescue.rate_factor, rescue.clipping(self.configured))
            )
        return rescue

    def _remember(self, **fields: Any) -> None:
        self.memory = self.memory._replace(**fields)

    def _announce(self, event: Intervention) -> None:
        self.interventions.append(event)
        self.announce(event)
