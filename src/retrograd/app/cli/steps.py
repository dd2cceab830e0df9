"""The steps of a long command on standard error, one line each, once it has taken a while."""

from __future__ import annotations

import sys
import time

QUIET = 3.0  # seconds, before which nobody wonders what takes so long


class Steps:
    """Prints what is done now, a line for each step."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()

    def __call__(self, what: str) -> None:
        """Print one step."""
        if time.perf_counter() - self.begun >= QUIET:
            print(what, file=sys.stderr, flush=True)
