"""The optimizers that step a model, and their learning rates."""

from __future__ import annotations

import weakref
from typing import Any

from torch.optim import Optimizer

from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.journal import Journal

LOW = threshold("U12", "vanished")
NOTHING, SOMETHING = 0.02, 0.5  # of the largest rate: from down here to up there is a restart
MOST = 64  # optimizers known at a time


class Optimizers:
    """Knows which optimizers are the model's."""

    def __init__(self, journal: Journal, given: Optimizer | None) -> None:
        self.journal, self.model, self.given = journal, journal.model, given
        self.known: dict[int, tuple[Any, set[int]]] = {}  # weakly, and which of the model's parameters it holds
        self.followed: Any = lambda: None  # the optimizer whose learning rate is followed, weakly
        self.last: tuple[Any, set[int]] | None = None  # the optimizer that stepped last, weakly, and what it holds
        self.was_high = self.was_low = False  # that rate

    def ours(self, optimizer: Optimizer) -> set[int]:
        """Return the identities of the model's parameters that it holds, none of another's; note it where it is new."""
        known = self.known.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        mine, journal = {id(parameter) for parameter in self.model.parameters()}, self.journal
        mine |= set(journal.at_start.values())
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        ours = held & mine or (held if optimizer is self.given else set())
        journal.held |= held
        if len(self.known) > MOST:
            self.known.clear()
        self.known[id(optimizer)] = (weakref.ref(optimizer), ours)
        journal.others += not ours
        if ours:
            journal.optimizers += 1
            journal.stepped |= held & mine
            journal.foreign = max(journal.foreign, len(held - mine))
            tensors = [p for group in optimizer.param_groups for p in group["params"]]
            journal.foreign_shapes = [tuple(p.shape) for p in tensors if id(p) not in mine] or journal.foreign_shapes
            journal.optimizer_kind = type(optimizer).__name__
            defaults = optimizer.defaults
            journal.stateful = bool(defaults.get("momentum", 0.0)) or type(optimizer).__name__ != "SGD"
            journal.fresh_steps += not optimizer.state
        return ours

    def stepped(self, optimizer: Optimizer, held: set[int], nested: bool) -> None:
        """Count how often two optimizers take turns at the same parameters; one that calls another is one."""
        if nested:
            return
        last, self.last = self.last, (weakref.ref(optimizer), held)
        before = last[0]() if last is not None else None
        if last is None or before is None or before is optimizer:
            return
        shared = last[1] & held
        self.journal.apart |= not shared
        if shared:
            self.journal.alternations[frozenset((id(before), id(optimizer)))] += 1
            self.journal.shared |= shared

    def follow(self, optimizer: Optimizer, turn: int) -> None:
        """Note the learning rate of a step; of several optimizers, one is followed as long as it lives."""
        if self.followed() is None:
            self.followed = weakref.ref(optimizer)
        if self.followed() is optimizer:
            self.read(turn)

    def read(self, turn: int) -> None:
        """Note the learning rate as it is."""
        optimizer, journal = self.followed(), self.journal
        if optimizer is None:
            return
        rate = float(optimizer.param_groups[0].get("lr", 0.0))
        journal.read_rates += 1
        journal.zero_rates += all(float(group.get("lr", 1.0)) == 0 for group in optimizer.param_groups)
        journal.rates.add(rate, turn)
        if rate > journal.top_rate:
            journal.top_rate = rate
        if rate >= LOW * journal.top_rate:
            journal.low_from = -1
        elif journal.low_from < 0:
            journal.low_from = turn
        if self.was_high and rate < NOTHING * journal.top_rate:
            self.was_high, self.was_low = False, True
        elif rate > SOMETHING * journal.top_rate:
            journal.rate_turns += self.was_low
            self.was_high, self.was_low = True, False
