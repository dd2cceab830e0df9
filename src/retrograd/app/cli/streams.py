"""Standard output and standard error of the command line, which may be closed, full, or without a reader."""

from __future__ import annotations

import errno
import io
import os
import sys

from retrograd.present.text import filled

SAVING = (
    "train",
    "diagnose",
    "repair",
    "tune",
    "compare-optimizers",
    "prune",
)  # verbs that run for long and save their results: lost output does no harm
LINES_BUFFER = 2**13


class Outlet(io.FileIO):
    """A descriptor that remembers its first failure.

    A patient one discards what it cannot write, so that training continues without a reader. Any other raises the
    first failure and then discards what is still buffered.
    """

    def __init__(self, descriptor: int, patient: bool, is_open: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self.patient, self.is_open = patient, is_open
        self.failure: OSError | None = None

    def write(self, content: object, /) -> int:
        """Write bytes, or discard them after a failure."""
        if self.failure is None:
            try:
                if not self.is_open:
                    raise OSError(errno.EBADF, "closed")
                return super().write(content)  # type: ignore[arg-type]
            except OSError as error:
                self.failure = error
                if not self.patient:
                    raise
        return memoryview(content).nbytes  # type: ignore[arg-type]


class Streams:
    """The outlets below `sys.stdout` and `sys.stderr` while a command runs."""

    def __init__(self) -> None:
        closed = [descriptor for descriptor in (0, 1, 2) if not _is_open(descriptor)]
        for _ in closed:  # otherwise the next file opened would become standard output
            os.open(os.devnull, os.O_RDWR)
        self.out = Outlet(1, patient=False, is_open=1 not in closed)
        self.err = Outlet(2, patient=True, is_open=2 not in closed)

    def install(self) -> None:
        """Replace Python's text streams with streams over the outlets."""
        sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 (open for the life of the process)
        sys.stdout, sys.stderr = _text(self.out, sys.stdout), _text(self.err, sys.stderr, by_line=True)

    def failure(self) -> OSError | None:
        """Return the error that prevented writing to standard output."""
        sys.stdout.flush()
        return self.out.failure


def labelled(label: str, text: str) -> str:
    """Return a message for standard error: wrapped if somebody reads it, one line for a program that searches it."""
    return filled(text, label, len(label)) if sys.stderr.isatty() else f"{label}{text}"


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _text(outlet: Outlet, previous: object, by_line: bool = False) -> io.TextIOWrapper:
    """Return a text stream with the encoding of the previous one; it escapes what cannot be encoded."""
    encoding = getattr(previous, "encoding", None) or "utf-8"
    by_line = by_line or os.isatty(outlet.fileno())
    buffer = io.BufferedWriter(outlet, LINES_BUFFER)
    return io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=by_line)
