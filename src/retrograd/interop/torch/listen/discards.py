"""Backward passes whose gradients are set to zero before any step has used them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from retrograd.interop.torch.journal import Journal


class Pending(NamedTuple):
    """The parameters that one backward pass reached, and their versions at that time."""

    reached: tuple[Tensor, ...]
    versions: tuple[int, ...]

    def gone(self) -> bool:
        """Return whether none of its gradients is left."""
        return all(p.grad is None or not bool(p.grad.detach().any()) for p in self.reached)

    def moved(self) -> bool:
        """Return whether the parameters have been changed by hand since."""
        return any(p._version != version for p, version in zip(self.reached, self.versions, strict=True))


class Discards:
    """Follows each backward pass of an inspection until a step uses it or its gradients are gone.

    Not counted are passes inside a step (closures), for another model's step or to the inputs (adversarial examples),
    and gradients that the user has copied elsewhere.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.pending: list[Pending] = []
        self.dropped = 0
        self.stepping = 0

    def forget(self) -> None:
        """Start afresh."""
        self.pending, self.dropped = [], 0

    def before_backward(self) -> None:
        """Count the earlier passes whose gradients are gone."""
        remaining = []
        for pending in self.pending:
            if pending.moved():
                continue
            if pending.gone():
                self.dropped += 1
            else:
                remaining.append(pending)
        self.pending = remaining

    def after_backward(self, reached: Sequence[Tensor], elsewhere: bool) -> None:
        """Follow a pass that reached these parameters."""
        if self.stepping or elsewhere or not reached:
            return
        dense = tuple(p for p in reached if p.grad is not None and p.grad.layout == torch.strided)
        pending = Pending(dense, tuple(p._version for p in dense))
        if dense and not pending.gone() and (not self.journal.scaling.gradients or _finite(dense)):
            self.pending.append(pending)

    def before_step(self, held: set[int], moving: bool) -> None:
        """Count the passes that this step uses, and those lost before it."""
        self.stepping += 1
        if self.stepping > 1:
            return
        if not held:
            self.forget()  # another model's step: its gradients passed through this model
            return
        self.before_backward()
        used = [pending for pending in self.pending if any(id(p) in held for p in pending.reached)]
        copied = moving and not used  # gradients that do not come from a backward pass
        if (used or self.dropped) and not copied and not self.journal.gradients_read:
            self.journal.discards.append((self.dropped, len(used)))
        if used or self.dropped:
            self.forget()

    def after_step(self) -> None:
        """Note that the step has been taken."""
        self.stepping = max(0, self.stepping - 1)


def _finite(parameters: Sequence[Tensor]) -> bool:
    return all(bool(torch.isfinite(p.grad).all()) for p in parameters if p.grad is not None)
