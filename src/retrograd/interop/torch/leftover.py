"""Gradients that are left over from a step that has already used them, watched on a few small parameters."""

from __future__ import annotations

from torch import Tensor, nn

from retrograd.interop.torch.journal import Journal

WATCHED = 3


class Watched:
    """One parameter: its gradient tensor as it was last seen, and whether a step has used it since it was zero."""

    def __init__(self, parameter: Tensor) -> None:
        self.parameter = parameter
        self.gradient: Tensor | None = None
        self.version = self.own_version = -1
        self.used = self.stale = False


class Leftover:
    """Decides at every step whether gradients are fresh. Exact, by the counters that every in-place change moves."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.watched: list[Watched] = []

    def before_forward(self, updated: bool) -> None:
        """Notice updates that no optimizer makes: the parameters' own counters moved."""
        if updated:
            return  # an optimizer does it
        moved = False
        for each in self.watched:
            version = each.parameter._version
            moved = moved or (each.own_version >= 0 and version != each.own_version)
            each.own_version = version
        if moved:
            self.journal.manual_updates += 1
            self.journal.judged_steps += 1
            self.journal.stale_steps += self.stale()
            self.after_step()

    def before_backward(self) -> None:
        """Find what is left in the gradients."""
        for each in self.watched:
            gradient = each.parameter.grad
            if gradient is None:
                each.stale = False
            elif each.gradient is not gradient or gradient._version != each.version:  # type: ignore[union-attr]
                each.stale = each.used and bool((gradient.detach() != 0).any())
            elif each.used:
                each.stale = True
            each.used = False

    def after_backward(self, model: nn.Module) -> None:
        """Remember the gradients."""
        if not self.watched:
            found = [parameter for parameter in model.parameters() if parameter.grad is not None]
            self.watched = [Watched(parameter) for parameter in sorted(found, key=Tensor.numel)[:WATCHED]]
        for each in self.watched:
            each.gradient = each.parameter.grad
            each.version = -1 if each.gradient is None else each.gradient._version
            each.own_version = each.parameter._version

    def stale(self, held: set[int] | None = None) -> bool:
        """Return whether the step about to be taken uses leftovers, of the parameters that it holds."""
        return any(each.stale and (held is None or id(each.parameter) in held) for each in self.watched)

    def after_step(self) -> None:
        """Remember that the gradients are used."""
        for each in self.watched:
            each.used = True
            gradient = each.parameter.grad
            each.gradient, each.version = gradient, -1 if gradient is None else gradient._version
