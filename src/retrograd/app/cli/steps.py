"""The steps of a long command on standard error, a line each, once it has run for a while."""

from __future__ import annotations

import sys
import time

QUIET = 3.0  # seconds without output that nobody minds


class Steps:
    """Prints a line for each step."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()

    def __call__(self, what: str) -> None:
        """Print one step."""
        if time.perf_counter() - self.begun >= QUIET:
            print(what, file=sys.stderr, flush=True)
