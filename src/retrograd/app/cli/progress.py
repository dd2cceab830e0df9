"""Live progress on standard error: a bar in a terminal, a few plain lines elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from retrograd.base.plain_text import bare
from retrograd.present.numbers import alone, number
from retrograd.record import events
from retrograd.record.events import Epoch

PLAIN_LINES = 20  # approximate number of lines without a terminal; more only if epochs are long
LATE_SECONDS = 2.0  # longest wait between two lines


class Progress:
    """A watcher that shows epoch, loss and scores during training, and the steps of long epochs."""

    def __init__(self, epochs: int, quiet: bool) -> None:
        self.epochs, self.quiet = epochs, quiet
        self.console = Console(file=bare(sys.stderr))
        self.bar: Bar | None = None
        self.last_line = 0.0  # seconds of training at the last epoch line
        self.last_print = time.monotonic()
        self.every = max(1, epochs // PLAIN_LINES)

    def __enter__(self) -> Progress:
        if self.console.is_terminal and not self.quiet:
            columns = (
                TextColumn("epoch {task.completed}/{task.total}"),
                BarColumn(20),
                TextColumn("{task.description}"),
            )
            self.bar = Bar(*columns, TimeRemainingColumn(compact=True), console=self.console, transient=True)
            self.task = self.bar.add_task("", total=self.epochs)
            self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def __call__(self, epoch: Epoch) -> None:
        """Show one epoch."""
        if self.bar:
            self.bar.update(self.task, completed=epoch.epoch, description=words(epoch))
        elif not self.quiet and (epoch.epoch == 1 or epoch.epoch % self.every == 0 or self._is_late(epoch)):
            self.last_line, self.last_print = epoch.seconds, time.monotonic()
            print(f"epoch {epoch.epoch:>5}  {words(epoch)}", file=sys.stderr, flush=True)

    def live(self, event: events.Phase | events.Progress) -> None:
        """Show what happens before the first step and after the last, and the steps of a long epoch."""
        if isinstance(event, events.Phase):
            if self.bar and event.name != "training":
                self.bar.update(self.task, description=event.name)
            return
        words = f"loss {alone(event.loss)}  {number(event.steps_per_second, 2)} steps/s"
        if self.bar:
            self.bar.update(self.task, description=f"step {event.step:,}  {words}")
        elif not self.quiet and time.monotonic() - self.last_print >= LATE_SECONDS:
            self.last_print = time.monotonic()
            print(f" step {event.step:>5}  {words}", file=sys.stderr, flush=True)

    def _is_late(self, epoch: Epoch) -> bool:
        """Return whether a line is due."""
        return epoch.seconds - self.last_line >= LATE_SECONDS


def words(epoch: Epoch) -> str:
    """Return loss and scores as one short line."""
    scores = "  ".join(
        f"{part} {name} {alone(value)}" for part, metrics in epoch.metrics.items() for name, value in metrics.items()
    )
    return f"loss {alone(epoch.loss)}  {scores}"
