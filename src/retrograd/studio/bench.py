"""The bench: a process with JAX that stays warm and handles the page's interactive requests.

Requests are lines of JSON over pipes, one at a time. A process that takes too long, or dies, is replaced for the next
request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from retrograd.base.errors import Problem, RetrogradError

SECONDS = 120.0  # time limit of a request
COMMAND = "from retrograd.studio.worker import main; main()"


class BenchError(RetrogradError):
    """The bench rejected a request, or could not answer it."""


class Bench:
    """Sends requests to the process, which is started by the first request or by `warm`."""

    def __init__(self, own_layers: Sequence[Path] = (), seconds: float = SECONDS) -> None:
        self.own_layers, self.seconds = [str(path) for path in own_layers], seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start the process, without waiting for it."""
        with self._lock:
            self._running()

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Return the answer to a request.

        Raises:  BenchError for a problem with the request or the process
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            timer = threading.Timer(self.seconds, process.kill)
            timer.start()
            try:
                process.stdin.write(json.dumps({"verb": verb, **arguments}).encode() + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
            except OSError:
                line = b""
            finally:
                late = not timer.is_alive()
                timer.cancel()
            if not line.endswith(b"\n"):
                self._end()
                late_message = f"the request took longer than {self.seconds:g} s"
                message = late_message if late else "the computing process has died"
                raise BenchError(message, cure="try again; the process will be restarted")
        return answered(json.loads(line))

    @property
    def process(self) -> int | None:
        """The id of the process, if it is running."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", COMMAND, *self.own_layers],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C is for the server; the bench ends when its input is closed
            )  # fmt: skip
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):  # an unread request is still in the buffer of a dead process
                        stream.close()
            self._process = None


def answered(reply: Mapping[str, Any]) -> Any:
    """Return the answer in a reply of the process.

    Raises:  BenchError if it contains problems
    """
    if "problems" in reply:
        raise BenchError([Problem(*problem) for problem in reply["problems"]])
    return reply["answer"]
