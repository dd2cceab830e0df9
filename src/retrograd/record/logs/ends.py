"""The first and the last events of a run's log, without what lies between: a list of many long runs needs no more."""

from __future__ import annotations

import contextlib
import json
import os
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.record.events import MAX_LINE_BYTES, Epoch, Started, Stopped, parse_event, read_events
from retrograd.record.files import open_regular

EPOCH = b'{"kind":"epoch"'
MOST_BETWEEN = 256  # lines between two epochs: readings, notes, progress
BLOCK = 2**14  # bytes of the end that are read first; four times as many until an epoch is among them


class Ends(NamedTuple):
    """How a run began, its last epoch, and how it stopped, as far as its log says."""

    started: Started | None
    epoch: Epoch | None
    stopped: Stopped | None


def read_ends(path: Path) -> Ends:
    """Return the ends of a log; lines between them are not read, unless the log is written in some other way.

    Raises:  UsageError when there is no such file; DataError with the number of a line that is no event
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        first = stream.readline(MAX_LINE_BYTES + 1)
        begun = len(first)
        try:
            started = parse_event(first) if first.endswith(b"\n") else None
            if not isinstance(started, Started):
                return _whole(path)
            length = BLOCK
            while True:
                at = max(begun, size - length)
                stream.seek(at)
                lines = stream.read(size - at).split(b"\n")
                whole = lines[:-1] if at == begun else lines[1:-1]  # neither a cut first line nor one on its way
                found = _last(whole)
                if found.epoch or at == begun:
                    return found._replace(started=started)
                length *= 4
        except ValueError:
            return _whole(path)


def sampled_losses(path: Path, count: int) -> list[tuple[int, float]]:
    """Return epoch and loss of up to so many epochs, evenly spread over the bytes of a log."""
    losses: dict[int, float] = {}
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        for place in range(count):
            stream.seek(size * place // count)
            if place:
                stream.readline(MAX_LINE_BYTES)
            lines = islice(iter(lambda: stream.readline(MAX_LINE_BYTES), b""), MOST_BETWEEN)
            plain = _plain(next((line for line in lines if line.startswith(EPOCH)), b""))
            with contextlib.suppress(KeyError, TypeError, ValueError):
                losses[int(plain["epoch"])] = float(plain["loss"])
    return sorted(losses.items())


def _plain(line: bytes) -> dict[str, Any]:
    """Return what a line holds, unchecked: a small curve needs no more, and hundreds are drawn at once."""
    try:
        plain = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _last(lines: list[bytes]) -> Ends:
    stopped: Stopped | None = None
    for line in reversed(lines):
        event = parse_event(line)
        if isinstance(event, Stopped):
            stopped = stopped or event
        elif isinstance(event, Epoch):
            return Ends(None, event, stopped)
    return Ends(None, None, stopped)


def _whole(path: Path) -> Ends:
    ends = Ends(None, None, None)
    for event in read_events(path):
        if isinstance(event, Started):
            ends = ends._replace(started=event)
        elif isinstance(event, Epoch):
            ends = ends._replace(epoch=event)
        elif isinstance(event, Stopped):
            ends = ends._replace(stopped=event)
    return ends
