"""Interrupts of training: the first one ends it with everything saved, and is then passed on to the caller."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

REASONS: dict[int, str] = {  # the names of the stops; a terminal that is closed sends SIGHUP
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminated",
}


class Interrupts:
    """The signals that came during training, and the handlers that the caller had for them."""

    def __init__(self) -> None:
        self.before: dict[int, Any] = {}
        self.came: list[int] = []

    def asked(self) -> str | None:
        """Return the name of the reason to stop, if there is one."""
        return REASONS[self.came[0]] if self.came else None

    def pass_on(self, folder: Path) -> None:
        """Do what the signal would have done without training: raise, or call the caller's handler.

        Raises:  KeyboardInterrupt after SIGINT; SystemExit with 128 + the signal's number after SIGTERM and SIGHUP
        """
        if not self.came:
            return
        number = self.came[0]
        saved = f"training was {REASONS[number]}; the run up to then is saved in {folder}"
        handler = self.before[number]
        if callable(handler) and handler is not signal.default_int_handler:
            handler(number, None)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt(saved)
        else:
            raise SystemExit(128 + number)


@contextmanager
def interruptible() -> Iterator[Interrupts]:
    """Turn the first interrupt or termination into a wish to stop, which the loop asks for; a second one acts.

    A signal that the process ignores, as after `nohup`, stays ignored.
    """
    interrupts = Interrupts()
    if threading.current_thread() is not threading.main_thread():
        yield interrupts
        return

    def wish(number: int, frame: FrameType | None) -> None:
        if interrupts.came:
            signal.signal(number, interrupts.before[number])
            signal.raise_signal(number)
        interrupts.came.append(number)

    for number in REASONS:
        handler = signal.getsignal(number)
        if handler not in (signal.SIG_IGN, None):  # None: a handler that was not installed from Python
            interrupts.before[number] = handler
            signal.signal(number, wish)
    try:
        yield interrupts
    finally:
        for number, handler in interrupts.before.items():
            signal.signal(number, handler)
