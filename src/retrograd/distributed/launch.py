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

from retrograd.distributed.line import hello, reach, tell
from retrograd.distributed.seat import COORDINATOR, LOCAL_RANK, PROCESSES, RANK, Seat
from retrograd.distributed.words import RESOURCE

MOMENT = 3.0  # seconds in which the hub ends the others when one has failed
GRACE = 10.0  # seconds in which they end when it was told; then they are killed
LOOK = 0.05
WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_SIGNAL = 128
DEATHS = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
FAILURES = (1, RESOURCE, *(FIRST_SIGNAL + number for number in DEATHS))  # others are mistakes, or a wish to stop
RESUME = ("--resume", "auto")


def launch(command: Sequence[str], processes: int, restarts: int = 0) -> int:
    """Run `processes` processes of a command of retrograd; return the exit code of them all.

    When they have failed, and not through a mistake, the command is run again, at most `restarts` times, and goes on
    with its run.
    """
    words = list(command)
    for left in range(restarts, -1, -1):
        code, was_asked = Group(words, processes).run()
        if code not in FAILURES or was_asked or not left:
            return code
        if "--resume" not in words:
            words = [word for word in words if word != "--force"] + list(RESUME)
        print(f"restarting {processes} processes, {left - 1} more times at most", file=sys.stderr, flush=True)
    return code


class Group:
    """The processes of one start. A wish to stop is passed on to them; they agree on it among themselves."""

    def __init__(self, command: Sequence[str], processes: int) -> None:
        self.port = free_port()
        common = {COORDINATOR: f"127.0.0.1:{self.port}", PROCESSES: str(processes)}
        self.was_asked = False
        program = [sys.executable, "-m", "retrograd", *command]
        self.processes = [
            subprocess.Popen(program, env={**os.environ, **common, RANK: str(rank), LOCAL_RANK: str(rank)})
            for rank in range(processes)
        ]

    def run(self) -> tuple[int, bool]:
        """Wait until all have ended; return their exit code, and whether they were asked to stop."""
        failed = None  # when
        with self._passing_on():
            while None in (codes := [process.poll() for process in self.processes]):
                if failed is None and any(codes):
                    failed = time.monotonic()
                if failed is not None and time.monotonic() > failed + MOMENT:
                    self._end(codes)
                time.sleep(LOOK)
        return exit_code([process.returncode for process in self.processes]), self.was_asked

    def _end(self, codes: Sequence[int | None]) -> None:
        """End those that are left, where the death of one had no witness: it had not come to the hub yet."""
        rank = next((rank for rank, code in enumerate(codes) if code is not None and code < 0), None)
        if rank is not None:
            self._report(rank, signal.Signals(-int(codes[rank] or 0)).name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in self.processes:
                process.wait(GRACE)
        for process in self.processes:
            process.kill()

    def _report(self, rank: int, name: str) -> None:
        """Let the hub tell of a death, if there is one; else say it here."""
        process = self.processes[rank].pid
        seat = Seat("127.0.0.1", self.port, len(self.processes), rank)
        try:
            tell(reach(seat, LOOK), hello(seat, process), f"killed by {name}", RESOURCE)
        except OSError:
            where = f"rank {rank} of {seat.size} (host {socket.gethostname()}, process {process})"
            print(f"error: {where}: killed by {name}; all processes end", file=sys.stderr, flush=True)
            for other in self.processes:
                other.kill()

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
