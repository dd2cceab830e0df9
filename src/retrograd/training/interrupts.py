"""Interrupting training: the first signal ends it with everything saved, and is then passed on to the caller."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

REASONS: dict[int, str] = {  # the names of the stops; closing a terminal sends SIGHUP
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminated",
}


class Interrupts:
    """The signals received during training, and the caller's handlers for them."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.received: list[int] = []

    def asked(self) -> str | None:
        """Return the name of the reason to stop, if any."""
        return REASONS[self.received[0]] if self.received else None

    def pass_on(self, folder: Path) -> None:
        """Do what the signal would have done outside training: raise, or call the caller's handler.

        Raises:  KeyboardInterrupt after SIGINT; SystemExit with 128 + the signal's number after SIGTERM and SIGHUP
        """
        if not self.received:
            return
        number = self.received[0]
        saved = f"training was {REASONS[number]}; the run so far is saved in {folder}"
        handler = self.before[number]
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt(saved)
        else:
            raise SystemExit(128 + number)


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn the first interrupt or termination into a request to stop, which the loop polls; a second one acts at once.

    A signal that the process ignores, as after `nohup`, stays ignored.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def request_stop(number: int, frame: FrameType | None) -> None:
        if interrupts.received:
            signal.signal(number, interrupts.before[number])
            signal.raise_signal(number)
        interrupts.received.append(number)

    for number in REASONS:
        handler = signal.getsignal(number)
        if handler not in (signal.SIG_IGN, None):  # None: a handler that was not installed from Python
            interrupts.before[number] = handler
            signal.signal(number, request_stop)
    try:
        yield interrupts
    finally:
        for number, handler in interrupts.before.items():
            signal.signal(number, handler)
