"""The steps of a long command, printed to standard error once it has run for a while."""

from __future__ import annotations

import sys
import time

QUIET = 3.0  # seconds; nobody minds this long without output


class Steps:
    """A callable that prints one line per step."""

    def __init__(self) -> None:
        self.start = time.perf_counter()

    def __call__(self, step: str) -> None:
        """Print one step."""
        if time.perf_counter() - self.start >= QUIET:
            print(step, file=sys.stderr, flush=True)
