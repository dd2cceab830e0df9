"""What the processes of a run and their hub say to one another: one JSON object a line."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

from retrograd.base.errors import ResourceError

MOST_BYTES = 2**24  # of one line; whoever sends more is none of us
RESOURCE = ResourceError.exit_code  # of what is missing
NEVER = 10**7  # seconds until JAX ends what is stuck: the hub notices it first
EVERYWHERE = "-"  # all interfaces of a machine
END = "end"  # what a process asks last
BEATS = 8  # signs of life in the time after which a process counts as stuck

Word = dict[str, Any]


class Ear:
    """Collects the bytes of a connection into words."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._rest = b""

    def words(self) -> Iterator[Word]:
        """Yield the words that have come, waiting for some bytes.

        Raises:  EOFError at the end; ValueError for what is no word; OSError
        """
        came = self.connection.recv(2**16)
        if not came:
            raise EOFError
        *lines, self._rest = (self._rest + came).split(b"\n")
        if len(self._rest) > MOST_BYTES:
            raise ValueError("a line without end")
        for line in lines:
            try:
                word = json.loads(line)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            if not isinstance(word, dict):
                raise ValueError("no object")
            yield word


def spoken(word: Word) -> bytes:
    """Return a word as it is sent."""
    return json.dumps(word).encode() + b"\n"


def silence(timeout: float) -> float:
    """Return after how many seconds without a sign of life a process counts as stuck."""
    return timeout / 2
