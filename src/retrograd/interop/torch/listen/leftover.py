"""Gradients that are left over from a step that has already used them, watched on a few small parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrograd.interop.torch.journal import Journal

WATCHED = 3  # parameters: each costs a copy of its gradient


class Watched:
    """One parameter: its gradient tensor as it was last seen, and whether a step has used it since it was zero."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.gradient: Tensor | None = None
        self.version = self.own_version = -1
        self.used = self.stale = False

    def see(self) -> None:
        """Remember its gradient and both their states."""
        self.gradient = self.parameter.grad
        self.version = -1 if self.gradient is None else self.gradient._version
        self.own_version = self.parameter._version

    def moved(self) -> bool:
        """Return whether its gradient is not what it was."""
        gradient = self.parameter.grad
        return gradient is not self.gradient or (gradient is not None and gradient._version != self.version)


class Leftover:
    """Decides at every step whether gradients are fresh. Exact, by the counters that every in-place change moves."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.watched: list[Watched] = []
        self.known = False  # whether the gradients of the last backward pass are fresh or stale

    def before_forward(self, updated: bool) -> bool:
        """Return whether there was an update that no optimizer made: the parameters' own counters moved."""
        if updated:
            return False  # an optimizer does it
        moved = False
        for each in self.watched:
            version = each.parameter._version
            moved = moved or (each.own_version >= 0 and version != each.own_version)
            each.own_version = version
        if moved:
            self.journal.manual_updates += 1
            self.before_step()
            self.after_step()
        return moved

    def before_backward(self) -> None:
        """Find what is left in the gradients."""
        self.known |= any(each.used for each in self.watched)
        for each in self.watched:
            gradient = each.parameter.grad
            if gradient is None:
                each.stale = False
            elif each.moved() or each.used:  # what is 0 everywhere is no leftover
                each.stale = each.used and bool((gradient.detach() != 0).any())
            each.used = False

    def after_backward(self, model: nn.Module) -> None:
        """Remember the gradients."""
        if not self.watched:
            gradients = ((parameter, parameter.grad) for parameter in model.parameters())
            found = [parameter for parameter, each in gradients if each is not None and each.layout == torch.strided]
            self.watched = [Watched(parameter) for parameter in sorted(found, key=Tensor.numel)[:WATCHED]]
        for each in self.watched:
            each.see()

    def before_step(self, held: set[int] | None = None) -> None:
        """Count a step, and whether it uses leftovers of the parameters that it holds."""
        if self.known:
            stale = any(each.stale and (held is None or id(each.parameter) in held) for each in self.watched)
            self.journal.judged_steps += 1
            self.journal.stale_steps += stale

    def resume(self) -> None:
        """Begin again after a backward pass that went unnoticed: whether its gradients are fresh is not known."""
        self.known = False
        for each in self.watched:
            each.used = each.stale = False
            each.see()

    def mark(self) -> None:
        """Remember the gradients before a backward pass, to know whether it touches them."""
        for each in self.watched:
            each.see()

    def touched(self) -> bool:
        """Return whether it did; where no gradient was ever seen, it may have."""
        return not self.watched or any(each.parameter.grad is not None and each.moved() for each in self.watched)

    def after_step(self, held: set[int] | None = None) -> None:
        """Remember that the gradients of the parameters that it holds are used."""
        for each in self.watched:
            each.used |= held is None or id(each.parameter) in held
            each.see()
