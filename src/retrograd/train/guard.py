"""The guard: what happens when training diverges or meets values that are not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from retrograd.record.events import Intervention
from retrograd.train.condition import Condition
from retrograd.train.settings import GuardMode
from retrograd.update.optimizer import Optimizer
from retrograd.update.optimizers import optimizers
from retrograd.update.schedule import Schedule, schedules

FACTORS = (0.1, 0.01, 1e-3, 1e-4, 1e-5)  # of the learning rate, one after the other
CLIPPED_FROM = 1e-3  # with this factor and smaller ones gradients are clipped as well
NORM = 1.0
RISEN, THROWN = 3.0, 100.0  # times the first loss: at the end of some steps, and in a single one
LEARNED = 0.9  # of the first loss: what is below has learned something
TELLING_ROWS = 16  # the mean loss of fewer rows is mostly chance
LOOKS = 4  # after a rescue: so long it has to show that the network is no ruin
OPEN, SHUT = 0.2, 0.05  # what share of a delta a hidden activation passes on in a sound network, and in a ruined one
SOLVED = 0.1  # of the first loss: what is below needs no deltas any more
SLOWEST = 1e-3  # with smaller factors hardly anything moves, and nothing would be ruined


class Rescue(NamedTuple):
    """A mild change with which training goes on from the last healthy weights."""

    rate_factor: float
    clip: float | None = None  # the norm to which gradients are clipped

    def clipping(self, own: Optimizer) -> float | None:
        """Return the norm to which this rescue clips what the configured optimiser does not clip already."""
        return None if own.clip_global_norm else self.clip

    def optimizer(self, own: Optimizer) -> Optimizer:
        """Return the configured optimiser with clipping, if that belongs to this rescue."""
        clip = self.clipping(own)
        return dataclasses.replace(own, clip_global_norm=clip) if clip else own

    def action(self, own: Optimizer, rate: float) -> str:
        """Return what is done to the configured optimiser, whose rate would be `rate`, in words."""
        clip = self.clipping(own)
        return f"back to the last healthy weights, learning rate {rate * self.rate_factor:.3g}" + (
            f", gradients clipped to norm {clip:g}" if clip else ""
        )

    def permanent(self, own: Optimizer) -> str:
        """Return how the same is written in the configuration; of a schedule, all its rates are lower."""
        path = f"optimizer.{optimizers.name_of(type(own))}"
        place, rates = f"{path}.learning_rate", {"": own.first_rate}
        if isinstance(own.learning_rate, Schedule):
            place += f".{schedules.name_of(type(own.learning_rate))}"
            rates = {f".{name}": rate for name, rate in own.learning_rate.rates().items()}
        lines = [f"{place}{name}: {rate * self.rate_factor:.3g}" for name, rate in rates.items()]
        clip = self.clipping(own)
        return " and ".join([*lines, *([f"{path}.clip_global_norm: {clip:g}"] if clip else [])])


def rescues() -> Iterator[Rescue]:
    """Yield the rescues, the mildest first."""
    yield from (Rescue(factor, NORM if factor <= CLIPPED_FROM else None) for factor in FACTORS)


class Guard:
    """Judges the losses of a run, and keeps account of what is done about them.

    `own` is the configured optimiser, `rows` are those of a minibatch; `told` hears of each intervention.
    """

    def __init__(self, mode: GuardMode, own: Optimizer, rows: int, told: Callable[[Intervention], None]) -> None:
        self.mode, self.own, self.rows, self.told = mode, own, rows, told
        self.interventions: list[Intervention] = []
        self.first_loss = np.nan
        self._is_sure = rows >= TELLING_ROWS  # whether the first loss is more than chance
        self._left = list(rescues())
        self._watched = 0  # looks that are left
        self._passed: dict[str, float] = {}  # before the first of the rescues that are watched

    def judged(
        self, losses: np.ndarray, step: int, before: Callable[[], Condition], after: Callable[[], Condition]
    ) -> str | None:
        """Return in words what went wrong in the steps from `step` on, if that is to be acted on.

        `before` and `after` measure the weights at their beginning and end, which is not free: they are asked where
        there is reason to.
        """
        if np.isnan(self.first_loss) and len(losses):
            self.first_loss = float(losses[0])
        if self.mode == "off":
            return None
        means = telling(losses, self.rows)
        grown = diverged(means, self.first_loss)
        if grown and not self._is_sure:
            self._is_sure, self.first_loss = True, max(self.first_loss, before().loss)  # the first row may be easy
            grown = diverged(means, self.first_loss)
        if grown and self.mode == "warn":
            if not self.interventions:
                self._tell(Intervention(step, grown, "nothing: guard is `warn`", "training.guard: repair"))
            return None
        return grown or self._ruined(means, after)

    def _ruined(self, losses: np.ndarray, after: Callable[[], Condition]) -> str | None:
        """Return in words how a rescue has left a network that cannot learn, though its loss is no larger."""
        if not self._watched:
            return None
        is_rates_fault = self._left and self._left[0].rate_factor >= SLOWEST
        if is_rates_fault and at_the_end(losses) >= SOLVED * self.first_loss:
            now = after().passed
            shut = [name for name, share in now.items() if share < SHUT and self._passed[name] > OPEN]
            if shut:
                worst = min(shut, key=now.__getitem__)
                return f"{worst} passes {now[worst]:.1%} of the deltas on, {self._passed[worst]:.0%} before the rescue"
        self._watched -= 1
        return None

    def rescue(self, step: int, reason: str, rate: float, before: Callable[[], Condition]) -> Rescue | None:
        """Return the mildest rescue that has not been tried; None to give up. `rate` is the schedule's at the step."""
        found = self._left.pop(0) if self.mode == "repair" and self._left else None
        if found is not None:
            self._passed = self._passed if self._watched else before().passed
            self._watched = LOOKS
            action, permanent = found.action(self.own, rate), found.permanent(self.own)
            self._tell(Intervention(step, reason, action, permanent, found.rate_factor, found.clipping(self.own)))
        return found

    def _tell(self, event: Intervention) -> None:
        self.interventions.append(event)
        self.told(event)


def telling(losses: np.ndarray, rows: int) -> np.ndarray:
    """Return the losses of steps of so many rows, those of few rows as means over enough steps to tell something."""
    steps = -(-TELLING_ROWS // rows)
    if steps == 1 or not len(losses):
        return losses
    starts = steps * np.arange(max(1, len(losses) // steps))
    sums: np.ndarray = np.add.reduceat(losses.astype(float), starts)
    return sums / np.diff([*starts, len(losses)])


def at_the_end(losses: np.ndarray) -> float:
    """Return the mean of the last quarter of some losses."""
    return float(np.mean(losses[-max(1, len(losses) // 4) :]))


def diverged(losses: Sequence[float] | np.ndarray, first: float) -> str | None:
    """Return in words how losses of some steps have diverged from the first loss of the run, or None.

    Diverged: the last quarter's mean is 3 times the first loss; or a step threw the loss to 100 times the first, and
    the last quarter is not clearly below the first.
    """
    seen = np.asarray(losses, float)
    if not len(seen) or not np.isfinite(seen).all() or first <= 0:
        return None
    last = at_the_end(seen)
    if last > RISEN * first:
        return f"the loss rose from {first:.4g} to {last:.4g}"
    if seen.max() > THROWN * first and last > LEARNED * first:
        return f"a step threw the loss from {first:.4g} to {seen.max():.4g}, and it has not come back"
    return None
