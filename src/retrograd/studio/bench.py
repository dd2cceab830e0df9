"""The bench: a process with JAX that stays warm, and does what the page asks for while somebody waits.

It is spoken to in lines of JSON over pipes, one request at a time. One that takes too long, or dies, is replaced; the
next request finds a new one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrograd.base.errors import Problem, RetrogradError

SECONDS = 120.0  # that a request may take
COMMAND = "from retrograd.studio.worker import main; main()"


class BenchError(RetrogradError):
    """What the bench refused, or why there is no answer of it."""


class Bench:
    """Asks the process, which is started on the first request or by `warm`."""

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

        Raises:  BenchError with what was wrong with the request, or with the process
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
                message = f"it took longer than {self.seconds:g} s" if late else "the bench has died"
                raise BenchError(message, cure="try again; it starts anew")
        return answered(json.loads(line))

    @property
    def process(self) -> int | None:
        """The number of the process, if there is one."""
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
                start_new_session=True,  # Ctrl-C is for the server; the bench ends when nobody can ask any more
            )  # fmt: skip
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process = None


def answered(reply: Mapping[str, Any]) -> Any:
    """Return what the process answered.

    Raises:  BenchError for what it refused
    """
    if "problems" in reply:
        raise BenchError([Problem(*problem) for problem in reply["problems"]])
    return reply["answer"]
