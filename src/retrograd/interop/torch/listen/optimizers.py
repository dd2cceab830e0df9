"""The optimizers that step a model, and their learning rates."""

from __future__ import annotations

import weakref
from typing import Any

from torch.optim import Optimizer

from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.journal import Journal

LOW = threshold("U12", "vanished")
NOTHING, SOMETHING = 0.02, 0.5  # of the largest rate: a rise from below one to above the other is a restart
MOST = 64  # maximum number of optimizers remembered


class Optimizers:
    """Knows which optimizers step the model."""

    def __init__(self, journal: Journal, optimizer: Optimizer | None) -> None:
        self.journal, self.model, self.optimizer = journal, journal.model, optimizer
        self.known: dict[int, tuple[Any, set[int]]] = {}  # weak reference, and the model's parameters that it holds
        self.followed: Any = lambda: None  # weak reference to the optimizer whose learning rate is followed
        self.last: tuple[Any, set[int]] | None = None  # weak reference to the last that stepped, and its parameters
        self.was_high = self.was_low = False  # whether the followed rate was

    def ours(self, optimizer: Optimizer) -> set[int]:
        """Return the identities of the model's parameters that an optimizer holds; note a new optimizer."""
        known = self.known.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        of_model, journal = {id(parameter) for parameter in self.model.parameters()}, self.journal
        of_model |= set(journal.at_start.values())
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        ours = held & of_model or (held if optimizer is self.optimizer else set())
        journal.held |= held
        if len(self.known) > MOST:
            self.known.clear()
        self.known[id(optimizer)] = (weakref.ref(optimizer), ours)
        journal.others += not ours
        if ours:
            journal.optimizers += 1
            journal.stepped |= held & of_model
            journal.foreign = max(journal.foreign, len(held - of_model))
            tensors = [p for group in optimizer.param_groups for p in group["params"]]
            foreign = [tuple(p.shape) for p in tensors if id(p) not in of_model]
            journal.foreign_shapes = foreign or journal.foreign_shapes
            journal.optimizer_kind = type(optimizer).__name__
            defaults = optimizer.defaults
            journal.stateful = bool(defaults.get("momentum", 0.0)) or type(optimizer).__name__ != "SGD"
            journal.fresh_steps += not optimizer.state
        return ours

    def stepped(self, optimizer: Optimizer, held: set[int], nested: bool) -> None:
        """Count how often two optimizers take turns on the same parameters; one that calls another is the same."""
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
        """Note the learning rate of a step; only one of several optimizers is followed."""
        if self.followed() is None:
            self.followed = weakref.ref(optimizer)
        if self.followed() is optimizer:
            self.read(turn)

    def read(self, turn: int) -> None:
        """Note the current learning rate."""
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
