"""What one close look reads: inputs, outputs, gradients, the update, activations, leftovers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from retrograd.interop.torch import rows
from retrograd.interop.torch.hook import Hook
from retrograd.interop.torch.journal import Gradients, Journal
from retrograd.interop.torch.look import Look
from retrograd.interop.torch.place import caller
from retrograd.interop.torch.sample import same, sampled, samples, update

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
READ = 1 << 16  # entries of a tensor that readings use


class Inspection:
    """One look after the other, each from behind a backward pass to behind the next that a step lies before."""

    def __init__(self, journal: Journal) -> None:
        self.journal, self.model = journal, journal.model
        self.look = Look(journal)
        self.first = samples(dict(self.model.named_parameters()))
        self.before: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor] = {}
        self.probe: Tensor | None = None  # the parameter whose own gradients are heard
        self.probe_hook: Any = None
        self.fresh: list[Tensor] = []
        self.left: Tensor | None = None  # its gradient before this backward pass
        self.handles: list[Any] = []
        self.x: Tensor | None = None
        self.late = self.passes = 0

    def begin(self) -> None:
        """Start a look."""
        self.look.begin({id(p): p.data_ptr() for p in self.model.parameters() if p.numel()})
        self.look.gradients = set()
        self.fresh, self.passes = [], 0
        self.late = len(self.journal.late_changes)
        for path, module in self.model.named_modules():
            if path and not any(True for _ in module.children()):
                self.handles.append(module.register_forward_pre_hook(Hook(Entering(self, path))))
        trainable = [p for p in self.model.parameters() if p.requires_grad]
        held = [p for p in trainable if p.grad is not None] or trainable
        if held:
            self.probe = min(held, key=Tensor.numel)
            self.probe_hook = self.probe.register_hook(self._hear)

    def _hear(self, gradient: Tensor) -> None:
        self.fresh.append(gradient.detach().clone())

    def remember(self) -> None:
        """Keep samples of parameters and gradients, to see what comes of them before the next forward pass."""
        named = dict(self.model.named_parameters())
        self.before = samples(named)
        self.gradients = {path: sampled(p.grad) for path, p in named.items() if p.grad is not None}

    def end(self, since: list[bool]) -> None:
        """Finish a look."""
        if self.look.wanted and self.x is None and since == [] and self.look.stepped:
            self._update()
        for handle in self.handles:
            handle.remove()
        self.handles = []
        if self.probe_hook is not None:
            self.probe_hook.remove()
            self.probe_hook = None
        self.look.wanted = False
        self.look.settle()
        self.look.target = self.x = None

    def forget(self) -> None:
        """Drop the samples, which take memory."""
        self.before, self.gradients = {}, {}

    def before_forward(self, args: Any) -> None:
        """Read what the update before this pass did, and the inputs."""
        self._update()
        self.look.stage = "model"
        self.x = first_tensor(args)
        if self.x is None or self.x.ndim == 0:
            return
        self.look.rows = len(self.x)
        journal = self.journal
        x = self.x.detach()
        if x.is_floating_point() and x.numel():
            some = sampled_entries(x)
            journal.input_nonfinite |= not bool(torch.isfinite(some).all())
            low, high = journal.input_range
            journal.input_range = (min(low, float(some.min())), max(high, float(some.max())))
            if torch.is_grad_enabled():
                journal.grainy = rows.moved_channels(x) or journal.grainy
        if journal.rows.available is None and torch.is_grad_enabled():
            journal.rows.available, journal.rows.loader_drops = rows.available(caller(), x)

    def _update(self) -> None:
        if self.before:
            now = dict(self.model.named_parameters())
            moved = any(path in now and not same(old, sampled(now[path])) for path, old in self.before.items())
            if moved:
                self.journal.updates.append(update(self.before, self.gradients, now))
                self.look.stepped = True
            self.before = {}

    def after_forward(self, y: Tensor | None) -> None:
        """Read the outputs."""
        self.look.stage = "loss"
        self.look.module = ""
        if y is None or not y.requires_grad or y.ndim < 1 or not y.is_floating_point():
            return
        if self.look.activities:
            self.journal.activities.append(self.look.activities)
            self.look.activities = []
        if y.ndim >= 1 and len(y) > 1:
            flat = y.detach().reshape(len(y), -1)[:256, :1024].to(torch.float32)
            self.journal.unequal.append(float(flat.std(0).mean() / (flat.abs().mean() + 1e-12)))

    def before_backward(self) -> None:
        """Read the rows and answers that the loss has seen."""
        if self.x is not None and self.look.target is not None:
            self.journal.rows.add(self.x, self.look.target)
            self.journal.rows.sizes.add(len(self.x))
        elif self.x is not None and self.x.ndim:
            self.journal.rows.batches.add(rows.fingerprint(self.x))
        self.look.target = None
        if self.probe is not None:
            self.left = None if self.probe.grad is None else self.probe.grad.detach().clone()
        self.look.stage = "backward"

    def after_backward(self, turns: int) -> None:
        """Read the gradients."""
        journal = self.journal
        journal.looks += 1
        journal.gradient_looks += 1
        self.passes += 1
        self.look.stage = "gap"
        square, relative, nonfinite = 0.0, {}, []
        for path, parameter in self.model.named_parameters():
            gradient = parameter.grad
            if gradient is None:
                continue
            journal.had_gradient.add(path)
            size = float(gradient.detach().norm())
            square += size * size
            if size != 0:
                journal.nonzero_gradient.add(path)
            if size != size or size == float("inf"):
                nonfinite.append(path)
            if parameter.ndim >= 2:
                relative[path] = size / max(float(parameter.detach().norm()), 1e-12)
        journal.gradients.append(Gradients(square**0.5, relative, tuple(nonfinite)))
        self._accumulation(turns)
        self.remember()

    def _accumulation(self, turns: int) -> None:
        """Compare the gradient that stands with the sum of what was left and what this pass brought."""
        if self.probe is None or self.probe.grad is None or not self.fresh:
            return
        now, fresh = self.probe.grad.detach(), self.fresh[-1]
        left = torch.zeros_like(fresh) if self.left is None else self.left
        scale = float((left.norm() + fresh.norm()) or 1.0)
        error = float((now - left - fresh).norm()) / max(scale, 1e-30)
        self.journal.accumulation_error = max(self.journal.accumulation_error, error)
        self.journal.growth.append((turns, float(now.norm()) / max(float(fresh.norm()), 1e-30)))

    def before_step(self) -> None:
        """Compare the gradient that the step takes with the one that backward left (a division or clipping shows)."""
        now = {path: p.grad for path, p in self.model.named_parameters() if p.grad is not None}
        shared = [path for path in self.gradients if path in now]
        left = sum(float(self.gradients[path].norm()) ** 2 for path in shared) ** 0.5
        taken = sum(float(sampled(now[path]).norm()) ** 2 for path in shared) ** 0.5
        if left > 0:
            self.journal.kept.append(taken / left)

    def after_step(self) -> None:
        """Look whether anybody changes gradients from here to the next backward pass."""
        self.look.stepped = True
        self.look.gradients = {id(p.grad) for p in self.model.parameters() if p.grad is not None}
        self.journal.looked_steps += 1

    def first_bad(self, loss: Tensor) -> None:
        """Say where the first number that is not finite was found."""
        journal = self.journal
        if journal.first_bad:
            return
        bad = [path for path, p in self.model.named_parameters() if not bool(torch.isfinite(p.detach()).all())]
        if self.x is not None and self.x.is_floating_point() and not bool(torch.isfinite(self.x.detach()).all()):
            journal.first_bad = "the inputs"
        elif bad:
            journal.first_bad = f"parameter {bad[0]}"
        else:
            journal.first_bad = "the loss, with finite parameters"

    def changed(self) -> set[str]:
        """Return the parameters that differ from the start."""
        now = dict(self.model.named_parameters())
        return {path for path, old in self.first.items() if path not in now or not same(old, sampled(now[path]))}


class Entering:
    """Notes which module runs."""

    def __init__(self, inspection: Inspection, path: str) -> None:
        self.inspection, self.path = inspection, path

    def __call__(self, module: nn.Module, args: Any) -> None:
        """Note it."""
        inspection, journal = self.inspection, self.inspection.journal
        inspection.look.module = self.path
        if torch.is_grad_enabled():
            journal.called.add(self.path)
        x = first_tensor(args)
        if isinstance(module, BATCH_NORMS) and module.training and x is not None and x.ndim and len(x) == 1:
            journal.single_row_norms[self.path] += 1


def sampled_entries(x: Tensor) -> Tensor:
    """Return at most some ten thousand entries."""
    flat = x.reshape(-1)
    return flat[:: max(1, flat.numel() // READ)]


def first_tensor(value: Any) -> Tensor | None:
    """Return the first tensor in nested tuples, lists and mappings."""
    if isinstance(value, Tensor):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)
