"""Running one command as several processes on this machine, started, monitored and ended together."""

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

MOMENT = 3.0  # seconds for the hub to end the others after one has failed
GRACE = 10.0  # seconds for them to end after the hub was notified; then they are killed
LOOK = 0.05
WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FIRST_SIGNAL = 128
DEATHS = (signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS)
FAILURES = (1, RESOURCE, *(FIRST_SIGNAL + number for number in DEATHS))  # other codes: user errors, or asked to stop
RESUME = ("--resume", "auto")


def launch(command: Sequence[str], processes: int, restarts: int = 0) -> int:
    """Run a retrograd command in `processes` processes; return their common exit code.

    If they fail other than through a user error, the command is restarted up to `restarts` times and resumes its run.
    """
    words = list(command)
    for left in range(restarts, -1, -1):
        code, was_asked = Group(words, processes).run()
        if code not in FAILURES or was_asked or not left:
            return code
        if "--resume" not in words:
            words = [word for word in words if word != "--force"] + list(RESUME)
        print(f"restarting {processes} processes; restarts left: {left - 1}", file=sys.stderr, flush=True)
    return code


class Group:
    """The processes of one start. A request to stop is passed on to them; they agree on it among themselves."""

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
        failed_at = None
        with self._passing_on():
            while None in (codes := [process.poll() for process in self.processes]):
                if failed_at is None and any(codes):
                    failed_at = time.monotonic()
                if failed_at is not None and time.monotonic() > failed_at + MOMENT:
                    self._end(codes)
                time.sleep(LOOK)
        return exit_code([process.returncode for process in self.processes]), self.was_asked

    def _end(self, codes: Sequence[int | None]) -> None:
        """End the remaining processes if one died before it had joined the hub, which then could not notice."""
        rank = next((rank for rank, code in enumerate(codes) if code is not None and code < 0), None)
        if rank is not None:
            self._report(rank, signal.Signals(-int(codes[rank] or 0)).name)
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in self.processes:
                process.wait(GRACE)
        for process in self.processes:
            process.kill()

    def _report(self, rank: int, name: str) -> None:
        """Let the hub report the death of a process; without a hub, report it here."""
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
        """Pass on signals sent to this process alone; a terminal sends its signals to all."""

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
    """Return the common exit code of ended processes: that of those that were not killed, if any failed."""
    failed = [code for code in codes if code > 0]
    killed = [FIRST_SIGNAL - code for code in codes if code < 0]
    return max(failed) if failed else RESOURCE if killed and 0 in codes else killed[0] if killed else 0


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
