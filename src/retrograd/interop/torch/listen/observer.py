"""The observer of a model: it follows forward and backward passes and steps, and now and then inspects one closely.

Between inspections it sleeps: it only counts backward passes, and reads a loss now and then. If the model behaves
differently in evaluation mode, it also follows forward passes, so that no validation is missed. It computes on detached
values only, draws no random numbers, and catches its own errors: the loop runs as it would without it.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from retrograd.interop.torch.hook import Hook
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen import attach
from retrograd.interop.torch.listen.discards import Discards
from retrograd.interop.torch.listen.guard import guarded
from retrograd.interop.torch.listen.leftover import Leftover
from retrograd.interop.torch.listen.losses import Losses
from retrograd.interop.torch.listen.moods import Moods
from retrograd.interop.torch.listen.optimizers import Optimizers
from retrograd.interop.torch.listen.pace import Pace
from retrograd.interop.torch.listen.passes import Passes
from retrograd.interop.torch.listen.states import State, after
from retrograd.interop.torch.look.inspection import OPENING, Inspection
from retrograd.interop.torch.nested import tensors
from retrograd.interop.torch.place import call_site

UPDATES = 2  # number of updates observed before the first sleep
MOST_BACKWARDS = 64  # maximum number of backward passes in one inspection while waiting for a step
NEAR, FAR = 4, 32  # range of the backward passes between two losses that are read while asleep
LOST = 64  # maximum number of consecutive passes that seem to be another model's


class Observer:
    """Fills the journal of a model."""

    def __init__(self, journal: Journal, optimizer: Optimizer | None) -> None:
        self.journal, self.model, self.scaling = journal, journal.model, journal.scaling
        self.optimizers = Optimizers(journal, optimizer)
        self.moods = Moods(self.model)
        self.pace = Pace()
        self.inspection = Inspection(journal)
        self.look = self.inspection.look
        self.leftover = Leftover(journal)
        self.passes = Passes(journal)
        self.losses = Losses(journal)
        self.discards = Discards(journal)
        self.depth = 0
        self.lines: Counter[Any] | None = Counter()  # backward passes for the next step, by the user's call
        self.state = State.GONE
        self.updated = False  # whether an optimizer has ever stepped the model
        self.steps_heard = False
        self.leaving = False  # whether parts of the last inspection are still to be removed
        self.turn = 0  # number of backward passes
        self.attention = 0  # the turn of the next backward pass of interest
        self.lost = 0
        self.hears = getattr(self.model, "_compiled_call_impl", None) is None  # whether forward passes can be followed
        self.pre_hook: Any = None
        self.post_hook: Any = None

    def start(self) -> None:
        """Start observing."""
        attach.attach(self)
        self.pace.start()
        self._wake()

    def stop(self) -> None:
        """Stop observing."""
        self.journal.turns = self.turn
        self.passes.end()
        self.inspection.end(bool(self.passes.since))
        self._sleep()
        attach.hear_forwards(self, False)
        self.steps_heard = attach.hear_steps(self, False)
        attach.detach(self)
        self.pace.stop()
        self.losses.read()
        self.journal.functions.leave()
        self.state = after(self.state, State.GONE)

    @guarded
    def _wake(self) -> None:
        """Start an inspection, with hooks for outputs and steps."""
        self.state = after(self.state, State.AWAKE)
        self.attention = 0
        attach.hear_forwards(self, True)
        if self.post_hook is None and self.hears:
            self.post_hook = self.model.register_forward_hook(Hook(self.after_forward), always_call=True)
        self.steps_heard = attach.hear_steps(self, True)
        self.inspection.begin()

    def _sleep(self) -> None:
        """End an inspection; the next step, which may use leftovers, and the forward pass after it are still read."""
        if self.state is State.AWAKE:
            self.state = after(self.state, State.DROWSY)
        self.leaving = True
        self.discards.forget()
        if self.post_hook is not None:
            self.post_hook.remove()
            self.post_hook = None
        self.inspection.forget()
        self.passes.sleep(self.turn)
        self.depth = 0
        self.attention = self.turn + 1

    def _wait(self) -> None:
        self.attention = min(self.turn + max(NEAR, min(self.turn // 4, FAR)), self.pace.next)

    # forward

    def heard_forward(self, module: nn.Module, args: Any) -> None:
        """Handle the start of a forward pass; between inspections, count it."""
        if torch._C._current_graph_task_id() >= 0:
            return  # in a backward pass: checkpointing recomputes the forward pass
        if self.state is State.AWAKE:
            self.before_forward(module, args)
        elif module is self.model:
            if self.leaving:
                self._leave()
            if torch.is_grad_enabled():
                self.passes.silently(self.turn, self.moods.mode())
            elif self.moods.blind():
                self._blind(args)

    @guarded
    def _leave(self) -> None:
        """Remove the last hooks after an inspection; without an optimizer, check whether the update used leftovers."""
        self.look.settle()
        self.leaving = self.look.on_stack
        if self.steps_heard and not self.updated:
            self.leftover.before_forward(self.updated)
            self.steps_heard = attach.hear_steps(self, False)
        if not self.leaving and not self.journal.moody:
            attach.hear_forwards(self, False)

    @guarded
    def before_forward(self, module: nn.Module, args: Any) -> None:
        """Handle the start of a forward pass during an inspection."""
        self.depth += 1
        if self.depth > 1 or module is not self.model:
            return
        self.inspection.settle()
        if torch.is_grad_enabled():
            self._place("forward")
        if self.leftover.before_forward(self.updated):
            self.look.stepped = True
        self.inspection.before_forward(args)

    @guarded
    def after_forward(self, module: nn.Module, args: Any, output: Any) -> None:
        """Handle the end of a forward pass."""
        recomputed = torch._C._current_graph_task_id() >= 0
        self.depth -= not recomputed
        if recomputed or self.depth > 0 or module is not self.model:
            return
        self.journal.forwards += 1
        outputs = list(tensors(output))
        graphs = [y for y in outputs if y.grad_fn is not None]
        if graphs:
            self.passes.with_gradients(graphs, self.turn, self.moods.mode())
        elif not torch.is_grad_enabled() and self.moods.blind():
            self.passes.blind(args)
        self.inspection.after_forward(outputs[0] if outputs else None)

    @guarded
    def _blind(self, args: Any) -> None:
        self.passes.blind(args)

    # backward

    def before_backward(self, losses: Any) -> None:
        """Handle the start of a backward pass."""
        self.scaling.begin(losses)
        if self.state is State.AWAKE:
            self._before_backward(losses)
        else:
            self.leftover.mark()

    @guarded
    def _before_backward(self, losses: Any) -> None:
        self.leftover.before_backward()
        self.discards.before_backward()
        self._place("backward")
        self.inspection.before_backward(losses)

    def _loss(self, losses: Any) -> None:
        if self.losses.add(losses, self.turn, wait=self.state is State.AWAKE):
            self.inspection.first_bad()

    @guarded
    def differentiated(self) -> None:
        """Note a call of `torch.autograd.grad`: the loop may not use `backward()`."""
        if "grad" not in self.journal.places:
            self._place("grad")

    def after_backward(self, losses: Any) -> None:
        """Handle the end of a backward pass."""
        if self.state is State.AWAKE:
            self._after_backward(losses)
        elif self.state is State.DROWSY:
            self._doze()
        else:
            self._glance(losses)

    @guarded
    def _doze(self) -> None:
        """Fall asleep: the next step uses gradients that were not inspected."""
        self.state = after(self.state, State.ASLEEP)
        self.leftover.known = False
        self.lines = None
        if self.updated:  # not during the step, while PyTorch iterates over the hooks
            self.steps_heard = attach.hear_steps(self, False)
        self._wait()

    @guarded
    def _glance(self, losses: Any) -> None:
        """Read loss and learning rate, and start another inspection if it is time."""
        turn = self.turn
        if not self.leftover.touched() and self.lost < LOST:
            self.lost += 1  # another model's backward pass: wait for the next
            self.attention = turn + 1
            return
        self.lost = 0
        self._loss(losses)
        self.optimizers.read(turn)
        self.pace.lap(turn, looked=False)
        if turn < self.pace.next:
            self._wait()
            return
        self.losses.read()
        self._wake()
        self.leftover.resume()
        self.inspection.remember()
        self.look.stage = "gap"

    @guarded
    def _after_backward(self, losses: Any) -> None:
        self.look.stage = "gap"
        is_ours = self.inspection.touched() or (bool(self.passes.since) and not self.journal.had_gradient)
        if is_ours:
            self.passes.used(self.turn)
        own_rows = bool(self.passes.since) or not self.hears
        self.passes.since.clear()
        self.leftover.after_backward(self.model)
        if not is_ours:
            return
        self._loss(losses)
        self.discards.after_backward(self.inspection.reached(), self.inspection.to_inputs)
        self.inspection.after_backward(self._line(own_rows))
        turn, enough = self.turn, self._seen_enough()
        if enough:
            self.inspection.end()
            self.pace.lap(turn, looked=True)
            self.pace.plan(turn, self.inspection.passes)
            self._sleep()
        else:
            self.inspection.remember()
            self.look.turn()
            self.pace.lap(turn, looked=True)

    def _line(self, own_rows: bool) -> int:
        """Return how many backward passes of the user's current call add up to one gradient; -1 if unknown.

        Passes from several calls, or of one forward pass, are parts of one loss; those from the same call, each with
        its own rows, are minibatches.
        """
        if self.inspection.alone():
            self.lines = Counter()
        if self.lines is None or not self.inspection.opening:
            return -1
        site = call_site()
        self.lines[site] += own_rows
        return self.lines[site]

    def _seen_enough(self) -> bool:
        """Return whether the inspection may end: at first after some steps, to count accumulation; later after one."""
        journal, passes = self.journal, self.inspection.passes
        if self.inspection.opening and passes < OPENING:
            return False
        updates = max(journal.steps, journal.manual_updates)
        stepped = updates >= UPDATES if self.inspection.opening else self.look.stepped
        return stepped or passes >= MOST_BACKWARDS

    # step

    @guarded
    def before_step(self, optimizer: Optimizer) -> None:
        """Handle the start of a step."""
        held = self.optimizers.ours(optimizer)
        if self.state is State.AWAKE:
            self.discards.before_step(held, self.inspection.moving())
        if not held:
            return
        self.optimizers.stepped(optimizer, held, nested=self.discards.stepping > 1)
        self.leftover.before_step(held)
        self.optimizers.follow(optimizer, self.turn)
        self._place("step")
        if self.state is State.AWAKE:
            self.inspection.before_step(max(self.lines.values(), default=0) if self.lines else 0)
        self.look.pause()
        self.look.stage = "step"

    @guarded
    def after_step(self, optimizer: Optimizer) -> None:
        """Handle the end of a step."""
        held = self.optimizers.ours(optimizer)
        self.discards.after_step()
        if not held:
            return
        journal = self.journal
        journal.steps += 1
        if self.lines:
            journal.per_step[max(self.lines.values())] += 1
        self.lines = Counter()
        self.updated = True
        self.leftover.after_step(held)
        self.look.stage = "gap"
        if self.state is State.AWAKE:
            self.look.wanted = True
            self.look.settle()
            self.inspection.after_step()

    def _place(self, event: str) -> None:
        """Note the user's line; in the opening inspection the latest one, since the first may be a trial run."""
        self.journal.note(event, again=self.inspection.opening)
