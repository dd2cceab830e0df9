"""What an inspection reads: inputs, outputs, gradients, the update, activations, leftovers."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import torch
from torch import Tensor

from retrograd.interop.torch.hook import Hook, compiled
from retrograd.interop.torch.journal import Gradients, Growth, Journal
from retrograd.interop.torch.look import rows
from retrograd.interop.torch.look.entering import BATCH_NORMS, Entering
from retrograd.interop.torch.look.floor import is_negated, sign_of
from retrograd.interop.torch.look.later import copied
from retrograd.interop.torch.look.leaks import leaks
from retrograd.interop.torch.look.look import Look
from retrograd.interop.torch.look.sample import Sample, lengths_of, norms, numbers, parameters, same, sample, update
from retrograd.interop.torch.nested import first_tensor, tensors
from retrograd.interop.torch.place import caller

OPENING = 3  # backward passes of the opening inspection that are read in full
READ = 1 << 16  # maximum number of entries read per tensor


class Inspection:
    """Successive inspections, each from the end of a backward pass to the end of the first one after a step.

    The opening inspection is longer: it learns the names, lines and habits of the loop. Later ones read symptoms only
    if the loop does not learn. If many backward passes add up to one step, those after the first are read in brief.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal, self.model = journal, journal.model
        self.look = Look(journal)
        self.look.allowed = not any(map(compiled, self.model.modules()))
        self.named = parameters(self.model)
        self.first = sample(self.named)
        self.before: Sample | None = None
        self.gradients: Sample | None = None
        self.probe: Tensor | None = None  # the parameter whose gradient contributions are recorded
        self.probe_hook: Any = None
        self.fresh: Tensor | None = None  # the contribution of this backward pass to its gradient
        self.left: Tensor | None = None  # its gradient before this backward pass
        self.marks: list[tuple[Tensor, Tensor | None, int]] = []  # all gradients before it, and their versions
        self.handles: list[Any] = []
        self.x: Tensor | None = None
        self.y: Tensor | None = None  # the outputs, as long as their graph exists
        self.alone_in_call = False  # whether the inputs are the model's only tensor argument
        self.to_inputs = False  # whether the inputs get gradients, which the loop may use
        self.passes = 0  # backward passes in this inspection
        self.brief = False
        self.opening = self.symptoms = True

    def begin(self) -> None:
        """Start an inspection."""
        self.opening = self.journal.looks < OPENING
        self.symptoms = self.look.symptoms = self.opening or not self.journal.losses.fallen()
        self.passes, self.brief = 0, False
        self.named = parameters(self.model)
        self.look.begin({p.data_ptr() for p in self.named.values() if p.numel()})
        for path, module in self.model.named_modules():
            hear = not any(True for _ in module.children()) if self.opening else isinstance(module, BATCH_NORMS)
            if path and hear and self.look.allowed:
                self.handles.append(
                    module.register_forward_pre_hook(Hook(Entering(self.journal, self.look, path, self.opening)))
                )
        trainable = [p for p in self.named.values() if p.requires_grad and self.opening]
        with_gradient = [p for p in trainable if p.grad is not None] or trainable
        if with_gradient:
            self.probe = min(with_gradient, key=Tensor.numel)
            self.probe_hook = self.probe.register_hook(self._hear)

    def _hear(self, gradient: Tensor) -> None:
        if gradient.layout == torch.strided:
            self.fresh = gradient.detach().clone()

    def remember(self) -> None:
        """Keep samples of parameters and gradients, to see how they change until the next forward pass."""
        if not self.symptoms:
            return
        if self.before is None:
            self.before = sample(self.named)
        self.gradients = sample({path: p.grad for path, p in self.named.items() if p.grad is not None})

    def end(self, unfinished: bool = False) -> None:
        """Finish an inspection."""
        if self.look.wanted and self.x is None and not unfinished and self.look.stepped:
            self._update()
        self._leave_modules()
        if self.probe_hook is not None:
            self.probe_hook.remove()
            self.probe_hook = None
        self.look.wanted = False
        self.look.settle()
        self.look.target = self.look.first = self.x = self.y = None
        self.look.logits = []
        if self.journal.looks >= OPENING or unfinished:
            self.journal.functions.leave()

    def _leave_modules(self) -> None:
        for handle in self.handles:
            handle.remove()
        self.handles = []

    def forget(self) -> None:
        """Release the samples."""
        self.before = self.gradients = self.fresh = self.left = None
        self.marks = []

    def settle(self) -> None:
        """Decide whether function calls are read in the forward pass that begins."""
        self.brief = self.passes >= (OPENING if self.opening else 1)
        self.look.wanted = not self.brief
        if self.brief:
            self._leave_modules()
        if self.look.wanted != self.look.on_stack:
            self.look.settle()

    def before_forward(self, args: Any) -> None:
        """Read the effect of the update before this pass, and the inputs."""
        self._update()
        self.look.stage = "model"
        self.x = None if self.brief else first_tensor(args)
        self.alone_in_call = len(list(tensors(args))) == 1
        self.to_inputs = self.x is not None and self.x.requires_grad
        self.look.first, self.look.logits = None, []
        if self.x is None or self.x.ndim == 0:
            return
        self.look.rows = len(self.x)
        journal = self.journal
        x = self.x.detach()
        if x.is_floating_point() and x.numel():
            lowest, highest = (float(value) for value in torch.aminmax(sampled_entries(x)))
            journal.input_nonfinite |= not (math.isfinite(lowest) and math.isfinite(highest))
            low, high = journal.input_range
            journal.input_range = (min(low, lowest), max(high, highest))
            if self.opening and torch.is_grad_enabled():
                journal.grainy = rows.moved_channels(x) or journal.grainy
        if self.opening and journal.rows.available is None and torch.is_grad_enabled():
            journal.rows.available, journal.rows.loader_drops = rows.available(caller(), x)

    def _update(self) -> None:
        before, gradients = self.before, self.gradients
        if not self.look.stepped or before is None or gradients is None:
            return
        self.named = parameters(self.model)
        self.before = now = sample(self.named)
        self.journal.updates.add(lambda: update(before, gradients, now))

    def after_forward(self, y: Tensor | None) -> None:
        """Read the outputs."""
        self.look.stage = "loss"
        self.look.module = ""
        self.look.numbers = 0 if y is None else y.numel()
        self.y = y if self.opening and y is not None and y.requires_grad else None
        self.look.logits = [entry for entry in self.look.logits if entry[0] is y]  # hidden layers may use relu
        if (
            self.brief
            or not self.symptoms
            or y is None
            or not y.requires_grad
            or y.ndim < 1
            or not y.is_floating_point()
        ):
            return
        if self.look.activities:
            readings = [work for _, work in self.look.activities]
            self.journal.activities.add(lambda: [work() for work in readings])
            self.look.activities = []
        if len(y) > 1:
            self.journal.unequal.add(copied(y.detach().reshape(len(y), -1)[:256, :1024], spread))

    def before_backward(self, losses: Any) -> None:
        """Remember the existing gradients, and read the graph before it is released."""
        self._graph(losses)
        self.fresh = None
        self.marks = []
        for p in self.named.values():
            grad = p.grad
            self.marks.append((p, grad, -1 if grad is None else grad._version))
        if self.probe_hook is not None and self.probe is not None:
            self.left = None if self.probe.grad is None else self.probe.grad.detach().clone()
        self.look.stage = "backward"

    def _graph(self, losses: Any) -> None:
        """Read the graph of a loss: its floor, user-defined functions, what the outputs depend on."""
        journal, x, y, first, target = self.journal, self.x, self.y, self.look.first, self.look.target
        self.y = self.look.first = None
        journal.relu_logits += [(place, dead) for _, place, dead in self.look.logits]
        self.look.logits = []
        self.look.clipping += 1
        loss = first_tensor(losses)
        if loss is not None and len(journal.floors) < OPENING:
            journal.floors.append(sign_of(loss.grad_fn) > 0)
            journal.negated.append(is_negated(loss.grad_fn))
        if journal.looks == 0:
            journal.functions.find(losses)
        elif not self.opening or journal.looks >= OPENING - 1:
            journal.functions.leave()
        if not self.opening or journal.looks >= OPENING or x is None or y is None or first is None or target is None:
            return
        with contextlib.suppress(RuntimeError):  # graphs that cannot be walked twice
            leak = leaks(self.model, x.detach(), first, y, target.detach())
            if leak is not None and (leak.kind != "rows" or self.alone_in_call):
                journal.leaks.append(leak)

    def moving(self) -> bool:
        """Return whether any gradient is not 0."""
        return any(p.grad is not None and bool(p.grad.detach().any()) for p in self.named.values())

    def reached(self) -> list[Tensor]:
        """Return the parameters whose gradients this backward pass changed."""
        return [p for p, grad, version in self.marks
                if p.grad is not None and (p.grad._version != version or p.grad is not grad)]  # fmt: skip

    def touched(self) -> bool:
        """Return whether this backward pass reached a parameter of this model."""
        return bool(self.reached())

    def alone(self) -> bool:
        """Return whether there was no gradient that this backward pass was added to."""
        return self.fresh is not None and (self.left is None or not bool(self.left.any()))

    def after_backward(self, turns: int) -> None:
        """Read rows, answers and gradients, in which `turns` backward passes from the same line add up."""
        journal = self.journal
        self.passes += 1
        journal.parts, self.look.calls = max(journal.parts, self.look.calls), 0
        self._accumulation(turns)
        if not self.brief:
            journal.looks += 1
            self.look.standing = {id(p.grad) for p in self.named.values() if p.grad is not None}
            self._rows()
            self.journal.had_gradient.update(path for path, p in self.named.items() if p.grad is not None)
            if self.symptoms:
                self._gradients()

    def _rows(self) -> None:
        if self.x is not None and self.look.target is not None:
            self.journal.rows.add(self.x, self.look.target, self.look.asked)
        elif self.x is not None and self.x.ndim:
            self.journal.rows.batches.add(rows.fingerprint(self.x))
        self.look.target = None

    def _gradients(self) -> None:
        gradients = {path: p.grad for path, p in self.named.items() if p.grad is not None}
        dense = [path for path, gradient in gradients.items() if gradient.layout == torch.strided]
        sparse = gradients.keys() - set(dense)
        weights = [path for path in dense if self.named[path].ndim >= 2]
        lengths = lengths_of([*(gradients[path] for path in dense), *(self.named[path] for path in weights)])

        def read() -> Gradients:
            values = numbers(lengths)
            sizes = dict(zip(dense, values, strict=False))
            pairs = zip(weights, values[len(dense) :], strict=True)
            return Gradients(
                math.hypot(*sizes.values()),
                {path: sizes[path] / max(length, 1e-12) for path, length in pairs},
                frozenset(sparse).union(path for path, size in sizes.items() if size != 0),
                tuple(path for path, size in sizes.items() if not math.isfinite(size)),
            )

        self.journal.gradients.add(read)

    def _accumulation(self, turns: int) -> None:
        """Compare the gradient with the sum of the gradient before and this pass's contribution."""
        if self.probe is None or self.probe.grad is None or self.fresh is None:
            return
        now, fresh, left = self.probe.grad.detach().clone(), self.fresh, self.left

        def read() -> Growth:
            old = torch.zeros_like(fresh) if left is None else left
            error, before, added, total = norms([now - old - fresh, old, fresh, now])
            return Growth(turns, total / max(added, 1e-30), error / max(before + added, 1e-30))

        self.journal.growth.add(read)

    def before_step(self, turns: int) -> None:
        """Compare the gradient at the step with that after backward, which shows a division or clipping."""
        gradients = self.gradients
        if turns < 2 or gradients is None:
            return
        now = sample({path: p.grad for path, p in self.named.items() if p.grad is not None})

        def read() -> float | None:
            before, at_step = norms([gradients.values, now.values])
            return at_step / before if before > 0 and now.paths == gradients.paths else None

        self.journal.kept.add(read)

    def after_step(self) -> None:
        """Watch for changes of gradients until the next backward pass."""
        self.look.stepped = True
        self.look.gradients = {id(p.grad) for p in self.named.values() if p.grad is not None}
        self.journal.looked_steps += 1

    def first_bad(self) -> None:
        """Note where the first number that is not finite was found."""
        journal = self.journal
        if journal.first_bad:
            return
        nonfinite = [path for path, p in parameters(self.model).items() if not bool(torch.isfinite(p.detach()).all())]
        if self.x is not None and self.x.is_floating_point() and not bool(torch.isfinite(self.x.detach()).all()):
            journal.first_bad = "the inputs"
        elif nonfinite:
            journal.first_bad = f"parameter {nonfinite[0]}"
        else:
            journal.first_bad = "the loss, with finite parameters"

    def changed(self) -> set[str]:
        """Return the parameters that differ from the start."""
        now = sample(parameters(self.model))
        parts = dict(zip(now.paths, now.parts(), strict=True))
        start = zip(self.first.paths, self.first.parts(), strict=True)
        return {path for path, old in start if path not in parts or not same(old, parts[path])}


def spread(y: Tensor) -> float:
    """Return how much the outputs differ from row to row, relative to their size."""
    y = y.to(torch.float32)
    return float(y.std(0).mean() / (y.abs().mean() + 1e-12))


def sampled_entries(x: Tensor) -> Tensor:
    """Return evenly spaced entries, at most about twice READ."""
    flat = x.reshape(-1)
    return flat[:: max(1, flat.numel() // READ)]
