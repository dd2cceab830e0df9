"""Brief trials: trained in memory, without a run folder, and trained further from there when they are promoted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from retrograd.training.in_memory import trained_in_memory
from retrograd.training.loop.loop import Fitted, Moment
from retrograd.training.loop.saved import Saved
from retrograd.training.prepare import Prepared

BRIEF = 2.0  # seconds in memory, after which a trial continues in a run folder: that costs about 40 ms
KEPT_BYTES = 256 * 2**20  # of states in memory; a promoted trial whose state was dropped is trained again
TOO_LONG = "no longer brief"


class Brief(NamedTuple):
    """The outcome of training in memory, and the state from which training can continue."""

    fitted: Fitted
    state: Saved | None  # None if training stopped by itself, so that more epochs would change nothing

    @property
    def is_whole(self) -> bool:
        """Whether the trial has ended; if not, it has to continue in a run folder."""
        return self.fitted.stop.reason != TOO_LONG


def may_be_brief(prepared: Prepared) -> bool:
    """Return whether a trial can be trained without a run folder: one network, and no gradient check before it."""
    return prepared.config.training.ensemble == 1 and not prepared.config.training.check


def train_briefly(prepared: Prepared, state: Saved | None) -> Brief:
    """Train from the initial weights or from a state for at most BRIEF seconds, a limit that changes no number."""
    end = monotonic() + BRIEF
    states: list[Saved] = []

    def keep(take: Callable[[], Saved], moment: Moment) -> None:
        if moment != "between":
            states.append(take())

    fitted = trained_in_memory(
        prepared, asked_to_stop=lambda: TOO_LONG if monotonic() >= end else None, save=keep, saved=state
    )
    return Brief(fitted, states[-1] if states else None)


class States:
    """The latest states of brief trials by name; the least recently used ones are dropped beyond KEPT_BYTES."""

    def __init__(self, most: int = KEPT_BYTES) -> None:
        self.most, self.size = most, 0
        self._kept: OrderedDict[str, tuple[Saved, int]] = OrderedDict()

    def keep(self, name: str, prepared: Prepared, state: Saved | None) -> None:
        """Keep the state in which a trial ended, in place of an earlier one."""
        self.forget(name)
        if state is not None:
            self._kept[name] = state, schedule_length(prepared)
            self.size += size_of(state)
        while self.size > self.most:
            self.forget(next(iter(self._kept)))

    def of(self, name: str, prepared: Prepared) -> Saved | None:
        """Return the state from which a promoted trial continues; None if its schedule would have another length."""
        if name not in self._kept:
            return None
        self._kept.move_to_end(name)
        state, length = self._kept[name]
        return state if length == schedule_length(prepared) else None

    def forget(self, name: str) -> None:
        """Drop the state of a trial, if there is one."""
        if name in self._kept:
            self.size -= size_of(self._kept.pop(name)[0])


def schedule_length(prepared: Prepared) -> int:
    """Return the number of steps that the schedule of the learning rate spans."""
    return prepared.config.optimizer.schedule.length(prepared.steps)


def size_of(state: Saved) -> int:
    """Return the bytes of a state's arrays."""
    return sum(array.nbytes for array in state.arrays.values())
