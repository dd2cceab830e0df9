"""The observer hangs on a model and hears of every forward pass, backward pass and step; now and then it looks closely.

It computes on detached values only, draws no random numbers, and catches its own errors: the loop goes on as without.
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from retrograd.interop.torch import attach
from retrograd.interop.torch.hook import Hook
from retrograd.interop.torch.inspection import Inspection, first_tensor
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.leftover import Leftover
from retrograd.interop.torch.pace import Pace
from retrograd.interop.torch.place import here
from retrograd.interop.torch.rows import fingerprint

MOST_TOKENS, PRINTS = 256, 64
LOW, NOTHING, SOMETHING = 1e-3, 0.02, 0.5  # of the largest learning rate
MOST_BACKWARDS = 64  # in one look, while waiting for a step


class Token:
    """Lives as long as the graph of one forward pass."""

    __slots__ = ("__weakref__", "number")


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Time a method, and keep its errors from the user's loop."""

    @functools.wraps(method)
    def run(self: Observer, *args: Any) -> None:
        begin = time.perf_counter()
        try:
            method(self, *args)
        except Exception as error:
            self.journal.trouble.append(f"{method.__name__}: {error!r}")
        self.pace.own += time.perf_counter() - begin

    return run


class Observer:
    """Fills the journal."""

    def __init__(self, journal: Journal, optimizer: Optimizer | None) -> None:
        self.journal, self.model = journal, journal.model
        self.optimizer = optimizer
        self.pace = Pace()
        self.inspection = Inspection(journal)
        self.look = self.inspection.look
        self.leftover = Leftover(journal)
        self.depth = self.passes = 0
        self.since: list[bool] = []  # training mode of each forward with gradients since the last backward
        self.own_backward = False
        self.was_high = self.was_low = False  # the learning rate
        self.backwards_since_step = 0
        self.last_was_blind = self.updated = False
        self.known: dict[int, tuple[Any, bool]] = {}  # optimizers: whether they hold parameters of the model
        self.handles: list[Any] = []
        self.device_is_cpu = all(parameter.device.type == "cpu" for parameter in self.model.parameters())

    def start(self) -> None:
        """Hang on."""
        self.handles = [
            self.model.register_forward_pre_hook(Hook(self.before_forward)),
            self.model.register_forward_hook(Hook(self.after_forward), always_call=True),
        ]
        attach.attach(self)
        self.pace.start()
        self.inspection.begin()

    def stop(self) -> None:
        """Let go."""
        self.inspection.end(self.since)
        attach.detach(self)
        for handle in self.handles:
            handle.remove()
        self.pace.stop()
        self.journal.unguarded += max(0, sum(self.since) - self.journal.usual) if self.journal.backwards else 0

    # forward

    @guarded
    def before_forward(self, module: nn.Module, args: Any) -> None:
        """Hear of a forward pass that begins."""
        self.depth += 1
        if self.depth > 1 or module is not self.model:
            return
        if self.look.wanted != self.look.on_stack:
            self.look.settle()
        if self.look.wanted:
            if torch.is_grad_enabled():
                self._place("forward")
            self.inspection.before_forward(args)
        self.leftover.before_forward(self.updated)

    @guarded
    def after_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """Hear that it is done."""
        self.depth -= 1
        if self.depth > 0 or module is not self.model:
            return
        journal = self.journal
        journal.forwards += 1
        y = first_tensor(output)
        if y is not None and y.requires_grad and y.grad_fn is not None:
            self.last_was_blind = False
            self.since.append(module.training)
            if not module.training and "eval_forward" not in journal.places:
                self._place("eval_forward")
            if len(self.since) == journal.usual + 1 and journal.backwards and module.training:
                self._place("unguarded")
            journal.training_forwards += module.training
            self.passes += 1
            if len(journal.tokens) < MOST_TOKENS:
                token = Token()
                token.number = self.passes
                y.grad_fn.metadata["retrograd"] = token
                journal.tokens.add(token)
        elif module.training and not torch.is_grad_enabled():
            self._blind(args)
        if self.look.wanted:
            self.inspection.after_forward(y)

    def _blind(self, args: Any) -> None:
        """Count a pass in training mode without gradients, as a validation that forgot `eval()` makes."""
        journal = self.journal
        journal.blind += 1
        journal.blind_runs += not self.last_was_blind
        self.last_was_blind = True
        if "blind" not in journal.places:
            self._place("blind")
        x = first_tensor(args)
        if x is not None and len(journal.blind_prints) < PRINTS and x.ndim:
            journal.blind_prints[fingerprint(x)] += 1

    # backward

    @guarded
    def before_backward(self, tensors: Any) -> None:
        """Hear of a backward pass that begins."""
        self.own_backward = bool(self.since)
        loss = first_tensor(tensors)
        if self.own_backward and loss is not None and loss.numel() == 1 and (self.device_is_cpu or self.look.wanted):
            value = float(loss.detach())
            self.journal.losses.add(value)
            if value != value or abs(value) == float("inf"):
                self.inspection.first_bad(loss)
        self.leftover.before_backward()
        if self.look.wanted:
            self._place("backward")
            self.inspection.before_backward()

    @guarded
    def differentiated(self) -> None:
        """Hear of gradients that are asked for by themselves: the loop may do without `backward()`."""
        if "grad" not in self.journal.places:
            self._place("grad")

    @guarded
    def after_backward(self) -> None:
        """Hear that it is done."""
        journal, looked = self.journal, self.look.wanted
        if self.own_backward:
            usual = journal.usual
            journal.per_backward[len(self.since)] += 1
            extra = sum(self.since[: len(self.since) - usual]) if len(self.since) > usual else 0
            journal.unguarded += extra
            journal.backwards += 1
            journal.eval_steps += not self.since[-1]
            self.backwards_since_step += 1
        self.since.clear()
        self.leftover.after_backward(self.model)
        if not self.own_backward:
            return
        if self.look.wanted:
            oldest = self.passes - journal.usual
            journal.alive = max(journal.alive, sum(token.number <= oldest for token in set(journal.tokens)))
            self.inspection.after_backward(self.backwards_since_step)
            if self.inspection.complete(MOST_BACKWARDS):
                self.inspection.end([])
        self.pace.turn(looked)
        if not self.look.wanted and self.pace.due():
            self.inspection.begin()
            self.inspection.remember()
        self.look.stage = "gap"

    # step

    @guarded
    def before_step(self, optimizer: Optimizer) -> None:
        """Hear of a step that begins."""
        if not self._ours(optimizer):
            return
        journal = self.journal
        journal.stale_steps += self.leftover.stale(journal.stepped)
        rate = float(optimizer.param_groups[0].get("lr", 0.0))
        self._rate(rate)
        if self.look.wanted:
            self._place("step")
            self.inspection.before_step()
        self.look.stage = "step"

    @guarded
    def after_step(self, optimizer: Optimizer) -> None:
        """Hear that it is taken."""
        if not self._ours(optimizer):
            return
        journal = self.journal
        journal.steps += 1
        if self.backwards_since_step:
            journal.per_step[self.backwards_since_step] += 1
        self.backwards_since_step = 0
        self.updated = True
        self.leftover.after_step()
        self.look.stage = "gap"
        if self.look.wanted:
            self.look.settle()
            self.inspection.after_step()

    def _place(self, event: str) -> None:
        place = here()
        if place is not None:
            self.journal.places[event] = place

    def _ours(self, optimizer: Optimizer) -> bool:
        known = self.known.get(id(optimizer))
        if known is not None and known[0]() is optimizer:
            return known[1]
        mine, journal = {id(parameter) for parameter in self.model.parameters()}, self.journal
        mine |= set(journal.at_start.values())
        held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        ours = bool(held & mine) or optimizer is self.optimizer
        if len(self.known) > 64:
            self.known.clear()
        self.known[id(optimizer)] = (weakref.ref(optimizer), ours)
        if ours:
            journal.optimizers += 1
            journal.stepped |= held & mine
            journal.foreign = max(journal.foreign, len(held - mine))
            journal.optimizer_kind = type(optimizer).__name__
            defaults = optimizer.defaults
            journal.stateful = bool(defaults.get("momentum", 0.0)) or type(optimizer).__name__ != "SGD"
            journal.fresh_steps += not optimizer.state
        return ours

    def _rate(self, rate: float) -> None:
        journal = self.journal
        journal.rates.add(rate)
        if rate > journal.top_rate:
            journal.top_rate = rate
        if rate >= LOW * journal.top_rate:
            journal.low_from = -1
        elif journal.low_from < 0:
            journal.low_from = journal.steps
        if self.was_high and rate < NOTHING * journal.top_rate:
            self.was_high, self.was_low = False, True
        elif rate > SOMETHING * journal.top_rate:
            journal.rate_turns += self.was_low
            self.was_high, self.was_low = True, False
