"""`watch`: a chart of any training loop."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any, TextIO

from torch import nn
from torch.optim import Optimizer

from retrograd.base.errors import UsageError
from retrograd.base.finding import Finding
from retrograd.interop.torch import faults as faults
from retrograd.interop.torch.fault import findings
from retrograd.interop.torch.hidden import hidden
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen.observer import Observer
from retrograd.interop.torch.report import write
from retrograd.interop.torch.verdict import Verdict, judge


def watch(
    model: nn.Module, optimizer: Optimizer | None = None, loss: Any = None, *, frozen: Iterable[str] = ()
) -> Chart:
    """Return a chart that observes a training loop: put `with watch(model, optimizer) as chart:` around it.

    Backward passes are counted; now and then, one iteration is inspected closely, ever less often, so that it costs a
    few percent of the time of a run of a thousand steps (`chart.cost` is the actual share). Weights and random numbers
    are bit for bit the same as without it. `optimizer` and `loss` are optional: steps and losses are recognised as they
    happen. `frozen` lists the paths of parameters that are not meant to be trained.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(
            f"expected a torch.nn.Module, found {type(model).__name__}", where="watch", cure="pass the model itself"
        )
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise UsageError(
            f"expected a torch.optim.Optimizer or None, found {type(optimizer).__name__}",
            where="watch",
            cure="write: watch(model, optimizer), in this order",
        )
    return Chart(model, optimizer, tuple([frozen] if isinstance(frozen, str) else frozen))


class Chart:
    """What is known about a loop. It can be read inside the block and after it."""

    def __init__(self, model: nn.Module, optimizer: Optimizer | None, frozen: tuple[str, ...]) -> None:
        parameters = dict(model.named_parameters())
        self.journal = Journal(model, frozen, {path: id(p) for path, p in parameters.items()})
        self.journal.hidden = hidden(model)
        self._parameters = list(parameters.values())  # kept alive so that no identity is reused
        self._observer = Observer(self.journal, optimizer)
        self.journal.moody = tuple(self._observer.moods.modules)

    def __enter__(self) -> Chart:
        self._observer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.failure = "" if error is None else str(error)
        self._observer.stop()

    @property
    def verdict(self) -> Verdict:
        """Whether the loop learns."""
        self._observer.losses.read()
        self.journal.turns = self._observer.turn
        return judge(self.journal)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, causes first; those with `severity` "note" are harmless."""
        self.journal.changed = self._observer.inspection.changed()
        return findings(self.journal, self.verdict)

    @property
    def alarms(self) -> tuple[Finding, ...]:
        """The findings that are not mere notes."""
        return tuple(finding for finding in self.findings if finding.severity != "note")

    @property
    def cost(self) -> float:
        """The share of the loop's processor time taken by close inspection."""
        return self._observer.pace.cost()

    def report(self, file: TextIO | None = None) -> None:
        """Print the verdict and the findings, each with the line to change."""
        print(self, file=file or sys.stdout)

    def __str__(self) -> str:
        return write(self.journal, self.verdict, self.findings, self._observer.pace)
