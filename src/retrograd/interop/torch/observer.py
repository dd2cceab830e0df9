"""The observer hangs on a model and hears of every forward pass, backward pass and step; now and then it looks closely.

It computes on detached values only, draws no random numbers, and catches its own errors: the loop goes on as without.
"""

from __future__ import annotations

import functools
import time
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
from retrograd.interop.torch.optimizers import Optimizers
from retrograd.interop.torch.pace import Pace
from retrograd.interop.torch.place import here
from retrograd.interop.torch.rows import fingerprint

MOST_TOKENS, PRINTS = 256, 64
FIRST = 4  # backward passes and steps that are all looked at
MOST_BACKWARDS = 64  # in one look, while waiting for a step


class Token:
    """Lives as long as the graph of one forward pass."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


def guarded(method: Callable[..., None]) -> Callable[..., None]:
    """Time a method, and keep its errors from the user's loop."""

    @functools.wraps(method)
    def run(self: Observer, *args: Any) -> None:
        begin = time.perf_counter()
        try:
            with torch._C.DisableTorchFunction():  # what the doctor computes is nothing to look at
                method(self, *args)
        except Exception as error:
            self.journal.trouble.append(f"{method.__name__}: {error!r}")
        self.pace.own += time.perf_counter() - begin

    return run


class Observer:
    """Fills the journal."""

    def __init__(self, journal: Journal, optimizer: Optimizer | None) -> None:
        self.journal, self.model = journal, journal.model
        self.optimizers = Optimizers(journal, optimizer)
        self.pace = Pace()
        self.inspection = Inspection(journal)
        self.look = self.inspection.look
        self.leftover = Leftover(journal)
        self.depth = self.passes = 0
        self.since: list[bool] = []  # training mode of each forward with gradients since the last backward
        self.own_backward = False
        self.backwards_since_step = 0
        self.last_was_blind = self.updated = False
        self.awake = self.steps_heard = False
        self.silent = 0  # forwards with gradients since the last backward, while asleep
        self.handles: list[Any] = []

    def start(self) -> None:
        """Hang on."""
        self.pre_hook = self.model.register_forward_pre_hook(Hook(self.heard_forward))
        attach.attach(self)
        self.pace.start()
        self._wake()

    def stop(self) -> None:
        """Let go."""
        self.inspection.end(self.since)
        self._sleep()
        self.steps_heard = attach.hear_steps(self, False)
        attach.detach(self)
        self.pre_hook.remove()
        self.pace.stop()
        if self.journal.backwards:
            left = max(self.silent, sum(self.since)) if self.model.training else 0
            self.journal.unguarded += max(0, left - self.journal.usual)

    def _wake(self) -> None:
        """Begin to look: only then are outputs and steps heard."""
        self.awake = True
        if not self.handles:
            self.handles = [self.model.register_forward_hook(Hook(self.after_forward), always_call=True)]
        self.steps_heard = attach.hear_steps(self, True)
        self.inspection.begin()

    def _sleep(self) -> None:
        """Hear of forward and backward passes only, and of the next step, which may use leftovers."""
        self.awake = False
        for handle in self.handles:
            handle.remove()
        self.handles = []
        self.inspection.forget()
        self.backwards_since_step = -1
        self.silent = 0

    # forward

    def heard_forward(self, module: nn.Module, args: Any) -> None:
        """Hear of a forward pass that begins; when nothing is looked at, count it."""
        if self.awake:
            self.before_forward(module, args)
        elif module is self.model:
            if self.look.on_stack:
                self.look.settle()
            if torch.is_grad_enabled():
                self.silent += 1
                if self.steps_heard:
                    self._after_look()
            elif module.training:
                self._blind(args)

    @guarded
    def _after_look(self) -> None:
        """Ask once more, for loops without an optimizer, whether the update behind the look used leftovers."""
        self.leftover.before_forward(self.updated)
        if not self.updated:
            self.steps_heard = attach.hear_steps(self, False)

    @guarded
    def before_forward(self, module: nn.Module, args: Any) -> None:
        """Hear of a forward pass that begins."""
        self.depth += 1
        if self.depth > 1 or module is not self.model:
            return
        if self.look.wanted != self.look.on_stack:
            self.look.settle()
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
                token = Token(self.passes)
                y.grad_fn.metadata["retrograd"] = token
                journal.tokens.add(token)
        elif module.training and not torch.is_grad_enabled():
            self._blind(args)
        self.inspection.after_forward(y)

    @guarded
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

    def before_backward(self, tensors: Any) -> None:
        """Hear of a backward pass that begins."""
        if self.awake:
            self._before_backward(tensors)

    @guarded
    def _before_backward(self, tensors: Any) -> None:
        self.own_backward = bool(self.since)
        loss = first_tensor(tensors)
        if self.own_backward and loss is not None and loss.numel() == 1:
            value = float(loss.detach())
            self.journal.losses.add(value)
            if value != value or abs(value) == float("inf"):
                self.inspection.first_bad(loss)
        self.leftover.before_backward()
        self._place("backward")
        self.inspection.before_backward()

    @guarded
    def differentiated(self) -> None:
        """Hear of gradients that are asked for by themselves: the loop may do without `backward()`."""
        if "grad" not in self.journal.places:
            self._place("grad")

    def after_backward(self) -> None:
        """Hear that it is done."""
        if self.awake:
            self._after_backward()
        elif self.silent:
            if self.silent > self.journal.usual and self.model.training:
                self.journal.unguarded += self.silent - self.journal.usual
            self.silent = 0
            self.pace.turn(False)
            if self.pace.due():
                self._resume()

    @guarded
    def _resume(self) -> None:
        self._wake()
        self.leftover.after_backward(self.model)
        if not self.inspection.before:
            self.inspection.remember()
        self.look.stage = "gap"

    @guarded
    def _after_backward(self) -> None:
        journal = self.journal
        if self.own_backward:
            usual = journal.usual
            journal.per_backward[len(self.since)] += 1
            journal.unguarded += sum(self.since[: len(self.since) - usual]) if len(self.since) > usual else 0
            journal.backwards += 1
            journal.eval_steps += not self.since[-1]
            self.backwards_since_step += self.backwards_since_step >= 0
        self.since.clear()
        self.leftover.after_backward(self.model)
        if not self.own_backward:
            return
        oldest = self.passes - journal.usual
        journal.alive = max(journal.alive, sum(token.number <= oldest for token in set(journal.tokens)))
        self.inspection.after_backward(self.backwards_since_step)
        self.pace.turn(True)
        journal.turns = self.pace.turns
        if self._seen_enough():
            self.inspection.end([])
            if self.pace.due():
                self._resume()
            else:
                self._sleep()
        self.look.stage = "gap"

    def _seen_enough(self) -> bool:
        """At first look until some steps are seen, so that accumulation can be counted; later, until one is seen."""
        journal = self.journal
        updates = max(journal.steps, journal.manual_updates)
        if journal.backwards < FIRST or (updates < FIRST and journal.backwards < MOST_BACKWARDS):
            return False
        return not journal.steps or self.look.stepped or self.inspection.passes >= MOST_BACKWARDS

    # step

    @guarded
    def before_step(self, optimizer: Optimizer) -> None:
        """Hear of a step that begins."""
        if not self.optimizers.ours(optimizer):
            return
        journal = self.journal
        journal.judged_steps += 1
        journal.stale_steps += self.leftover.stale(journal.stepped)
        rate = float(optimizer.param_groups[0].get("lr", 0.0))
        self.optimizers.rate(rate, self.pace.turns)
        self._place("step")
        if self.awake:
            self.inspection.before_step()
            self.look.pause()
        self.look.stage = "step"

    @guarded
    def after_step(self, optimizer: Optimizer) -> None:
        """Hear that it is taken."""
        if not self.optimizers.ours(optimizer):
            return
        journal = self.journal
        journal.steps += 1
        if self.backwards_since_step > 0:
            journal.per_step[self.backwards_since_step] += 1
        self.backwards_since_step = 0
        self.updated = True
        self.leftover.after_step()
        self.look.stage = "gap"
        if self.awake:
            self.look.wanted = True
            self.look.settle()
            self.inspection.after_step()
        else:
            self.look.settle()
            self.backwards_since_step = -1
            self.steps_heard = attach.hear_steps(self, False)

    def _place(self, event: str) -> None:
        place = here()
        if place is not None:
            self.journal.places[event] = place
