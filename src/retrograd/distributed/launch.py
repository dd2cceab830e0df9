"""Several processes of one command on this machine, started, watched and ended together."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from retrograd.distributed.seat import COORDINATOR, LOCAL_RANK, PROCESSES, RANK
from retrograd.distributed.words import RESOURCE

GRACE = 10.0  # seconds in which the others end when one has failed; then they are killed
LOOK = 0.05
WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_SIGNAL = 128
RESUME = ("--resume", "auto")


def launch(command: Sequence[str], processes: int, restarts: int = 0) -> int:
    """Run `processes` processes of a command of retrograd; return the exit code of them all.

    When they have failed, the command is run again, at most `restarts` times, and goes on with its run.
    """
    words = list(command)
    for left in range(restarts, -1, -1):
        code, was_asked = Group(words, processes).run()
        if code == 0 or was_asked or not left:
            return code
        if words[0] == "train" and "--resume" not in words:
            words += RESUME
        print(f"restarting {processes} processes, {left - 1} more times at most", file=sys.stderr, flush=True)
    return code


class Group:
    """The processes of one start. A wish to stop is passed on to them; they agree on it among themselves."""

    def __init__(self, command: Sequence[str], processes: int) -> None:
        common = {COORDINATOR: f"127.0.0.1:{free_port()}", PROCESSES: str(processes)}
        self.was_asked = False
        program = [sys.executable, "-m", "retrograd", *command]
        self.processes = [
            subprocess.Popen(program, env={**os.environ, **common, RANK: str(rank), LOCAL_RANK: str(rank)})
            for rank in range(processes)
        ]

    def run(self) -> tuple[int, bool]:
        """Wait until all have ended; return their exit code, and whether they were asked to stop."""
        with self._passing_on():
            deadline = None
            while any(process.poll() is None for process in self.processes):
                if deadline is None and any(process.returncode for process in self.processes):
                    deadline = time.monotonic() + GRACE
                if deadline is not None and time.monotonic() > deadline:
                    for process in self.processes:
                        process.kill()
                    deadline = None
                time.sleep(LOOK)
        codes = [process.returncode for process in self.processes]
        return exit_code(codes), self.was_asked

    @contextlib.contextmanager
    def _passing_on(self) -> Iterator[None]:
        """A terminal sends its signals to all; what is sent to this process alone is passed on."""

        def pass_on(number: int, frame: FrameType | None) -> None:
            self.was_asked = True
            if number != signal.SIGINT or not sys.stdin.isatty():
                for process in self.processes:
                    with contextlib.suppress(OSError):
                        process.send_signal(number)

        before = {number: signal.signal(number, pass_on) for number in WISHES}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def exit_code(codes: Sequence[int]) -> int:
    """Return the exit code of processes that have ended: that with which those ended that were not killed."""
    said = [code for code in codes if code > 0]
    killed = [FIRST_SIGNAL - code for code in codes if code < 0]
    return max(said) if said else RESOURCE if killed and 0 in codes else killed[0] if killed else 0


def free_port() -> int:
    """Return a port of this machine that nobody listens to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
