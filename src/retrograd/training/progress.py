"""Quiet progress for programs that train: a line on standard error every few seconds."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass

from retrograd.present.numbers import number
from retrograd.record.events import Epoch

EVERY_SECONDS = 2.0  # so that short training prints nothing


@dataclass
class Lines:
    """A watcher that prints an epoch's loss and scores, and the maximum time remaining.

    Training continues if standard error is closed.
    """

    epochs: int
    last_line: float = 0.0  # seconds at the last line

    def __call__(self, epoch: Epoch) -> None:
        """Print one line if the last one is long enough ago."""
        if epoch.seconds - self.last_line < EVERY_SECONDS or sys.stderr is None:  # None: closed from the start
            return
        self.last_line = epoch.seconds
        left = epoch.seconds / epoch.epoch * (self.epochs - epoch.epoch)
        scores = [
            f"{part} {name} {number(value, 4)}"
            for part, metrics in epoch.metrics.items()
            for name, value in metrics.items()
        ]
        words = "  ".join([f"loss {number(epoch.loss, 4)}", *scores])
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed from within Python
            print(f"epoch {epoch.epoch}/{self.epochs}  {words}  at most {left:.0f} s left", file=sys.stderr, flush=True)
