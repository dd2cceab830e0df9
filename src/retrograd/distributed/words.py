"""The protocol between the processes of a run and their hub: one JSON object per line."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

from retrograd.base.errors import ResourceError

MOST_BYTES = 2**24  # per line; a peer that sends more is foreign
RESOURCE = ResourceError.exit_code  # exit code when something is missing
NEVER = 10**7  # seconds until JAX ends a stuck process: the hub notices it first
EVERYWHERE = "-"  # all interfaces of a machine
END = "end"  # the last request of a process
BEATS = 8  # signs of life in the time after which a process counts as stuck

Word = dict[str, Any]


class Ear:
    """Assembles the bytes of a connection into messages."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""

    def words(self) -> Iterator[Word]:
        """Wait for some bytes, and yield the messages that are complete.

        Raises:  EOFError at the end; ValueError for an invalid message; OSError
        """
        received = self.connection.recv(2**16)
        if not received:
            raise EOFError
        *lines, self._rest = (self._rest + received).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            raise ValueError("line too long")
        for line in lines:
            try:
                word = json.loads(line)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            if not isinstance(word, dict):
                raise ValueError("not an object")
            yield word


def spoken(word: Word) -> bytes:
    """Return a message as the bytes to send."""
    return json.dumps(word).encode() + b"\n"


def silence(timeout: float) -> float:
    """Return the number of seconds without a sign of life after which a process counts as stuck."""
    return timeout / 2
