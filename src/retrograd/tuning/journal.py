"""A study on disk: an append-only journal, and a lock per trial. No database, no server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from retrograd.base.errors import DataError
from retrograd.record.files import make_folder, refusal
from retrograd.record.strict_json import write_json

JOURNAL, SETTINGS, TRIALS, LOCKS = "study.jsonl", "study.json", "trials", "locks"
ATTEMPTS = 2  # at a trial whose process dies: the second may find more free memory


@dataclass
class State:
    """The contents of the journal."""

    costs: dict[str, float] = field(default_factory=dict)  # of finished trials, by key
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)  # events of finished trials, by key
    begun: dict[str, int] = field(default_factory=dict)  # attempts without the interrupted ones, by key
    to_end: bool | None = None  # whether settings are trained for all epochs after the first bracket; None: undecided
    is_closed: bool = False  # no time for new trials: only the finals and the confirmation of the winner remain
    finalists: int | None = None  # number of settings in the finals, if the time left allows no more
    retried: list[str] = field(default_factory=list)


class Journal:
    """The events of a study, one JSON object per line; several processes may append.

    An incomplete line from a killed process is ignored, and the next writer starts a new line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / JOURNAL
        self._state, self._size = State(), 0  # what the first bytes of the journal say, up to the end of a line

    def append(self, **event: Any) -> None:
        """Append one complete event and flush it to disk.

        Raises:  ResourceError if writing fails
        """
        line = f"{write_json(event)}\n".encode()
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                size = os.fstat(descriptor).st_size
                if size and os.pread(descriptor, 1, size - 1) != b"\n":
                    line = b"\n" + line
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise refusal(error, self.path) from None

    def read(self) -> State:
        """Return the state so far, which the next call updates: only lines added since the last call are parsed."""
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(self._size)
            added = file.read()
            complete = added[: added.rfind(b"\n") + 1]
            self._size += len(complete)
            for line in complete.splitlines():
                with contextlib.suppress(ValueError):
                    _apply(json.loads(line), self._state)
        return self._state

    @contextlib.contextmanager
    def claimed(self, key: str) -> Iterator[bool]:
        """Yield whether this process has the lock of a trial, which it keeps until the body or the process ends."""
        make_folder(self.folder / LOCKS)
        descriptor = os.open(self.folder / LOCKS / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings with which a study was started.

    Raises:  DataError if the file is missing or damaged
    """
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"not the settings of a study: {error}", where=str(folder / SETTINGS)) from None
    return settings


def _apply(event: Any, state: State) -> None:
    if not isinstance(event, dict):
        return
    key, kind = event.get("trial", ""), event.get("event")
    if kind == "began":
        state.begun[key] = state.begun.get(key, 0) + 1
        if state.begun[key] > 1:
            state.retried.append(key)
    elif kind == "interrupted":  # by the user or the budget, not a failure of the trial
        state.begun[key] = state.begun.get(key, 0) - 1
    elif kind == "ended":
        cost = event.get("cost")
        state.costs[key] = cost if isinstance(cost, (int, float)) and math.isfinite(cost) else math.inf
        state.ended[key] = event
    elif kind == "paced" and state.to_end is None:
        state.to_end = event.get("to_end") is True
    elif kind == "closed" and not state.is_closed:
        state.is_closed, state.finalists = True, event.get("finalists")
    elif kind == "opened":
        state.is_closed, state.finalists = False, None
