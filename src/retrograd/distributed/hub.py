"""The hub of a run in several processes: a small process beside rank 0 through which they coordinate.

It tracks which processes have joined, receives their signs of life, and compares what they must have in common. When
one of them dies, hangs or fails, it reports this once and ends all others with one exit code. It also runs JAX's
coordination service: inside a training process, the service would die with that process and end all others abruptly.

    python -m retrograd.distributed.hub HOST PORT PROCESSES TIMEOUT FD     HOST: - for all interfaces
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from jaxlib import _jax

from retrograd.distributed.words import BEATS, END, EVERYWHERE, NEVER, RESOURCE, Ear, Word, silence, spoken

MOST_DIFFERENCES = 3
CLEAR = "\r\x1b[K\x1b[?25h"  # clears a progress bar and shows the cursor, which the dead process can no longer do


class Disagreement(Exception):
    """Processes have reached different results."""


@dataclass
class Member:
    """A process that has connected."""

    connection: socket.socket
    ear: Ear
    rank: int = -1
    name: str = ""
    heard: float = field(default_factory=time.monotonic)
    is_done: bool = False


class Hub:
    """Serves `size` processes until all are done; `verdict` is the exit code of a forced end."""

    def __init__(self, listener: socket.socket, size: int, timeout: float) -> None:
        self.listener, self.size, self.timeout = listener, size, timeout
        self.begun = time.monotonic()
        self.members: dict[int, Member] = {}
        self.asked: dict[str, dict[int, Any]] = {}  # tag -> value of each rank
        self.verdict: int | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.service: Any = None

    def run(self) -> int:
        """Serve; return the exit code."""
        beat = silence(self.timeout) / BEATS
        last_beat = 0.0
        while self.verdict is None and not self.is_over:
            for key, _ in self.selector.select(beat):
                if key.fileobj is self.listener:
                    self._admit()
                else:
                    self._hear(key.data)
            now = time.monotonic()
            if now - last_beat >= beat:
                last_beat = now
                self._send_all({"alive": True})
            self._look(now)
        if self.verdict is None:
            self._send_all({"bye": True})
        return self.verdict or 0

    @property
    def is_over(self) -> bool:
        """Whether all have joined and are done."""
        return len(self.members) == self.size and all(member.is_done for member in self.members.values())

    def _admit(self) -> None:
        """Accept a connection; one that closes at once, or finds no free descriptor, must not affect the others."""
        with contextlib.suppress(OSError):
            connection, _ = self.listener.accept()
            self.selector.register(connection, selectors.EVENT_READ, Member(connection, Ear(connection)))

    def _drop(self, member: Member) -> None:
        self.selector.unregister(member.connection)
        member.connection.close()

    def _hear(self, member: Member) -> None:
        try:
            for word in member.ear.words():
                member.heard = time.monotonic()
                self._obey(member, word)
        except (EOFError, OSError, ValueError, KeyError, TypeError, OverflowError):
            self._drop(member)
            if member.rank >= 0 and not member.is_done:
                self._end(f"lost {member.name} without notice: it was killed, it crashed, or its machine is gone")

    def _obey(self, member: Member, word: Word) -> None:
        if "hello" in word:
            self._welcome(member, word)
        elif member.rank < 0:
            raise ValueError("a message before hello")
        elif "ask" in word:
            self._asked(member, word)
        elif "failed" in word:
            self._end(f"{member.name}: {word['failed']}", int(word["code"]))
        elif "done" in word:
            member.is_done = True

    def _welcome(self, member: Member, word: Word) -> None:
        rank = int(word["hello"])
        name = f"rank {rank} of {self.size} (host {word['host']}, process {word['process']})"
        if word["size"] != self.size:
            self._end(f"{name} expects {word['size']} processes, but {self.size} were started", other=member)
            return
        if not 0 <= rank < self.size:
            raise ValueError("not a rank of this run")
        if rank in self.members:
            first = self.members[rank].name
            self._end(f"{name} has the same rank as {first}; every process needs its own rank", other=member)
            return
        member.rank, member.name = rank, name
        self.members[rank] = member
        if len(self.members) == self.size:
            address = self.members[0].connection.getsockname()[0]
            port = self._serve_jax(loopback=address == "127.0.0.1")
            self._send_all({"welcome": port})

    def _serve_jax(self, loopback: bool) -> int:
        """Start JAX's coordination service; return its port."""
        for _ in range(5):  # a free port may be taken in the meantime
            with socket.socket() as probe:
                probe.bind(("", 0))
                port = int(probe.getsockname()[1])
            with contextlib.suppress(Exception):
                everywhere = "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"
                address = f"127.0.0.1:{port}" if loopback else f"{everywhere}:{port}"
                self.service = _jax.get_distributed_runtime_service(
                    address, self.size, heartbeat_timeout=NEVER, shutdown_timeout=1
                )
                return port
        self._end("JAX's coordination service could not be started")
        return 0

    def _asked(self, member: Member, word: Word) -> None:
        tag, rule = str(word["ask"]), word["rule"]
        answers = self.asked.setdefault(tag, {})
        answers[member.rank] = word.get("value")
        if len(answers) < self.size:
            self._refuse_desertion()
            return
        del self.asked[tag]
        try:
            answer = self._agreed(tag, rule, [answers[rank] for rank in range(self.size)])
        except Disagreement as error:
            self._end(str(error))
        else:
            self._send_all({"answer": tag, "value": answer})

    def _refuse_desertion(self) -> None:
        """End all if a process has ended while others wait for it."""
        gone = self.asked.get(END, {})
        for tag, answers in self.asked.items():
            for rank in gone:
                if tag != END and rank not in answers:
                    self._end(f"{self.members[rank].name} has ended while others wait for it ({tag})")

    def _agreed(self, tag: str, rule: str, values: list[Any]) -> Any:
        """Return the common answer to these values, by a rule.

        Raises:  Disagreement naming the first rank whose value differs from that of rank 0
        """
        compared = {"same": values, "meet": [value["state"] for value in values] if rule == "meet" else []}
        for rank, value in enumerate(compared.get(rule, [])):
            if value != compared[rule][0]:
                words = difference(compared[rule][0], value)
                raise Disagreement(f"{self.members[rank].name} disagrees with rank 0 on the {tag}: {words}")
        if rule == "meet":
            return {"wish": next((v["wish"] for v in values if v["wish"]), None), "now": values[0]["now"]}
        return values if rule == "every" else values[0]

    def _look(self, now: float) -> None:
        """End all if a process has not joined in time or gives no sign of life; drop connections without a hello."""
        connected = [key.data for key in self.selector.get_map().values() if key.data is not None]
        for member in connected:
            if member.rank < 0 and now - member.heard > self.timeout:
                self._drop(member)
        if len(self.members) < self.size and now - self.begun > self.timeout:
            missing = [str(rank) for rank in range(self.size) if rank not in self.members]
            joined = ", ".join(self.members[rank].name for rank in sorted(self.members)) or "none"
            ranks = ", ".join(missing[:10]) + (", ..." if len(missing) > 10 else "")
            self._end(f"rank {ranks} of {self.size} did not join within {self.timeout:g} s; joined: {joined}")
        for member in self.members.values():
            silent = now - member.heard
            if not member.is_done and silent > silence(self.timeout):
                self._end(f"{member.name} has not responded for {silent:.0f} s: it is stopped, or its machine hangs")
                return

    def _end(self, message: str, code: int = RESOURCE, other: Member | None = None) -> None:
        """Report once what has happened, and end all members, and `other`, which could not become a member."""
        if self.verdict is None:
            self.verdict = code
            clear = CLEAR if sys.stderr.isatty() else ""
            print(f"{clear}error: {message}; all processes end", file=sys.stderr, flush=True)
            self._send_all({"end": message, "code": code}, other)

    def _send_all(self, word: Word, other: Member | None = None) -> None:
        line = spoken(word)
        for member in (*self.members.values(), *([] if other is None else [other])):
            with contextlib.suppress(OSError):
                member.connection.settimeout(1.0)  # a process that is stopped does not keep the others waiting
                member.connection.sendall(line)


def difference(first: Any, other: Any) -> str:
    """Describe how two values differ; for mappings, entry by entry."""
    if not isinstance(first, dict) or not isinstance(other, dict):
        return f"{short(other)}, not {short(first)}"
    names = [name for name in sorted({*first, *other}) if first.get(name) != other.get(name)]
    parts = [f"{name} is {short(other.get(name))}, not {short(first.get(name))}" for name in names[:MOST_DIFFERENCES]]
    return "; ".join(parts) + (f"; and {len(names) - len(parts)} more" if len(names) > len(parts) else "")


def short(value: Any) -> str:
    """Return a value as short text."""
    text = "not set" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def listen(host: str, port: int, backlog: int) -> socket.socket:
    """Return a socket that listens on one address, or on all interfaces."""
    if host != EVERYWHERE:
        return socket.create_server((host, port), backlog=backlog)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), backlog=backlog, family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port), backlog=backlog)


def serve(host: str, port: int, size: int, timeout: float, ready: int) -> int:
    """Listen where the processes meet, and report this to the process that started the hub."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the hub ends with the processes that it serves
    with os.fdopen(ready, "w") as parent:
        try:
            listener = listen(host, port, backlog=min(size, 4096))
        except OSError as error:
            parent.write(error.strerror or str(error))
            return RESOURCE
        parent.write("ready")
    code = Hub(listener, size, timeout).run()
    sys.stderr.flush()
    os._exit(code)  # JAX's service would wait for processes that are gone


if __name__ == "__main__":
    _, host, *numbers = sys.argv
    sys.exit(serve(host, int(numbers[0]), int(numbers[1]), float(numbers[2]), int(numbers[3])))
