"""Detects gradients left over from a step that has already used them, on a few small parameters."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from retrograd.interop.torch.journal import Journal

WATCHED = 3  # number of parameters watched


class Watched:
    """A parameter, its gradient when last seen, and whether a step has used that gradient since it was zero."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.gradient: Tensor | None = None
        self.version = self.own_version = -1
        self.used = self.stale = False

    def see(self) -> None:
        """Remember the gradient, and the versions of both."""
        self.gradient = self.parameter.grad
        self.version = -1 if self.gradient is None else self.gradient._version
        self.own_version = self.parameter._version

    def moved(self) -> bool:
        """Return whether the gradient has changed since."""
        gradient = self.parameter.grad
        return gradient is not self.gradient or (gradient is not None and gradient._version != self.version)


class Leftover:
    """Decides at every step whether gradients are fresh: exactly, by the version counters of in-place changes."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.watched: list[Watched] = []
        self.known = False  # whether the gradients of the last backward pass are fresh or stale

    def before_forward(self, updated: bool) -> bool:
        """Return whether parameters were updated without an optimizer, by their version counters."""
        if updated:
            return False  # an optimizer makes the updates
        moved = False
        for watched in self.watched:
            version = watched.parameter._version
            moved = moved or (watched.own_version >= 0 and version != watched.own_version)
            watched.own_version = version
        if moved:
            self.journal.manual_updates += 1
            self.before_step()
            self.after_step()
        return moved

    def before_backward(self) -> None:
        """Note which gradients are leftovers."""
        self.known |= any(watched.used for watched in self.watched)
        for watched in self.watched:
            gradient = watched.parameter.grad
            if gradient is None:
                watched.stale = False
            elif watched.moved() or watched.used:  # a gradient of zeros is no leftover
                watched.stale = watched.used and bool((gradient.detach() != 0).any())
            watched.used = False

    def after_backward(self, model: nn.Module) -> None:
        """Remember the gradients."""
        if not self.watched:
            gradients = ((parameter, parameter.grad) for parameter in model.parameters())
            dense = [parameter for parameter, grad in gradients if grad is not None and grad.layout == torch.strided]
            self.watched = [Watched(parameter) for parameter in sorted(dense, key=Tensor.numel)[:WATCHED]]
        for watched in self.watched:
            watched.see()

    def before_step(self, held: set[int] | None = None) -> None:
        """Count a step, and whether it uses leftovers, considering only the parameters in `held`."""
        if self.known:
            stale = any(watched.stale and (held is None or id(watched.parameter) in held) for watched in self.watched)
            self.journal.judged_steps += 1
            self.journal.stale_steps += stale

    def resume(self) -> None:
        """Resume after an unobserved backward pass: it is unknown whether its gradients are fresh."""
        self.known = False
        for watched in self.watched:
            watched.used = watched.stale = False
            watched.see()

    def mark(self) -> None:
        """Remember the gradients before a backward pass, to know whether it touches them."""
        for watched in self.watched:
            watched.see()

    def touched(self) -> bool:
        """Return whether the backward pass touched them; true if no gradient has been seen yet."""
        return not self.watched or any(
            watched.parameter.grad is not None and watched.moved() for watched in self.watched
        )

    def after_step(self, held: set[int] | None = None) -> None:
        """Note that the gradients of the parameters in `held` have been used."""
        for watched in self.watched:
            watched.used |= held is None or id(watched.parameter) in held
            watched.see()
