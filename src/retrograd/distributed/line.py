"""A process's connection to the hub: its requests and answers, and how it ends together with the others."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Literal, NoReturn

from retrograd.base.errors import ResourceError
from retrograd.distributed.seat import Seat, addresses, is_loopback
from retrograd.distributed.words import BEATS, EVERYWHERE, RESOURCE, Ear, Word, silence, spoken

Rule = Literal["same", "first", "every", "meet"]
RETRY = 0.05  # seconds between two attempts to reach the hub
PATIENCE = 10.0  # seconds for which a process that has lost another one waits for the hub to end it


class Line:
    """The connection of one process; separate threads listen to the hub and send signs of life.

    When the hub ends all, the process ends at once, wherever it is: it may be waiting for a process that is gone.

    Raises:  ResourceError if the hub cannot be started or reached
    """

    def __init__(self, seat: Seat, timeout: float) -> None:
        self.seat, self.timeout = seat, timeout
        self.heard = time.monotonic()
        self._answers: dict[str, queue.Queue[Any]] = {}
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._is_over = False
        if seat.rank == 0:
            start_hub(seat, timeout)
        self.connection = reach(seat, timeout)
        self.ear = Ear(self.connection)
        self._say(hello(seat))
        threading.Thread(target=self._listen, name="line", daemon=True).start()
        threading.Thread(target=self._beat, name="signs of life", daemon=True).start()
        host = self.connection.getpeername()[0]
        port = self._answer("welcome").get()
        self.service = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def ask(self, tag: str, rule: Rule, value: Any = None) -> Any:
        """Return the common answer once all processes have asked for `tag`.

        `rule`: the value of all (`same`), of rank 0 (`first`), all values (`every`), or the result of a meeting.
        """
        answer = self._answer(tag)
        self._say({"ask": tag, "rule": rule, "value": value})
        result = answer.get()
        with self._lock:
            del self._answers[tag]
        return result

    def fail(self, message: str, code: int) -> NoReturn:
        """Report why this process cannot continue, and end together with all others."""
        self._say({"failed": message, "code": code})
        time.sleep(PATIENCE)
        leave(code)

    def wait(self) -> None:
        """Give the hub time to report what has happened to another process."""
        time.sleep(PATIENCE)

    def close(self) -> None:
        """Wait until all are done."""
        answer = self._answer("bye")
        self._say({"done": True})
        answer.get()
        self._is_over = True
        self.connection.close()

    def _answer(self, tag: str) -> queue.Queue[Any]:
        with self._lock:
            return self._answers.setdefault(tag, queue.Queue())

    def _say(self, word: Word) -> None:
        with self._sending, contextlib.suppress(OSError):  # the hub is gone or has ended all: the listener handles it
            self.connection.sendall(spoken(word))

    def _listen(self) -> None:
        try:
            while True:
                for word in self.ear.words():
                    self.heard = time.monotonic()
                    if "end" in word:
                        leave(int(word["code"]))
                    if "welcome" in word:
                        self._answer("welcome").put(word["welcome"])
                    elif "answer" in word:
                        self._answer(word["answer"]).put(word["value"])
                    elif "bye" in word:
                        self._answer("bye").put(None)
                        return
        except (EOFError, OSError, ValueError):
            if not self._is_over:
                lost(f"rank {self.seat.rank} has lost the hub on {self.seat.address}: its machine or process is gone")

    def _beat(self) -> None:
        while not self._is_over:
            self._say({"alive": True})
            if time.monotonic() - self.heard > self.timeout:
                lost(f"rank {self.seat.rank} has heard nothing from the hub on {self.seat.address} for "
                     f"{self.timeout:g} s")  # fmt: skip
            time.sleep(silence(self.timeout) / BEATS)


def hello(seat: Seat, process: int | None = None) -> Word:
    """Return the first message of a process, this one or another."""
    number = os.getpid() if process is None else process
    return {"hello": seat.rank, "size": seat.size, "host": socket.gethostname(), "process": number}


def tell(connection: socket.socket, first: Word, message: str, code: int) -> None:
    """Report to the hub why a process does not join, or is gone."""
    connection.sendall(spoken(first) + spoken({"failed": message, "code": code}))
    connection.close()


def start_hub(seat: Seat, timeout: float) -> None:
    """Start the hub beside this process in a separate session, so that it outlives rank 0 and can report its end."""
    answer, ready = os.pipe()
    known = addresses(seat)
    address = next((name for name in known if all(map(is_loopback, known)) and ":" not in name), EVERYWHERE)
    numbers = map(str, (seat.port, seat.size, timeout))
    command = [sys.executable, "-m", "retrograd.distributed.hub", address, *numbers]
    subprocess.Popen(
        [*command, str(ready)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(ready,),
        start_new_session=True,
    )  # fmt: skip
    os.close(ready)
    with os.fdopen(answer) as stream:
        status = stream.read()
    if status != "ready":
        message = f"cannot listen on port {seat.port}: {status or 'the hub did not start'}"
        raise ResourceError(message, where="distributed.coordinator", cure="choose a free port")


def reach(seat: Seat, timeout: float) -> socket.socket:
    """Return a connection to the hub, which may start later than this process."""
    begun = time.monotonic()
    while True:
        try:
            connection = socket.create_connection((seat.host, seat.port), timeout)
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except OSError as error:
            if time.monotonic() - begun > timeout:
                reason = error.strerror or error  # a timeout has no strerror
                message = f"rank {seat.rank} cannot reach {seat.address} from {socket.gethostname()}: {reason}"
                cure = "check that rank 0 is running there and that the firewall allows the port"
                raise ResourceError(message, where="distributed.coordinator", cure=cure) from None
        time.sleep(RETRY)


def lost(message: str) -> NoReturn:
    """Report the loss of the hub, which can no longer report anything, and end."""
    print(f"error: {message}", file=sys.stderr, flush=True)
    leave(RESOURCE)


def leave(code: int) -> NoReturn:
    """End the process at once, without destructors, which would wait for processes that are gone."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
