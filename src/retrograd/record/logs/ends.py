"""The first and last events of a run's log, without those between: enough to list many long runs."""

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
BLOCK = 2**14  # bytes read from the end at first; four times as many until they contain an epoch


class Ends(NamedTuple):
    """The start of a run, its last epoch, and its end, as far as they are in the log."""

    started: Started | None
    epoch: Epoch | None
    stopped: Stopped | None


def read_ends(path: Path) -> Ends:
    """Return the ends of a log without reading the lines between, unless the log does not begin with a start event.

    Raises:  UsageError if there is no such file; DataError with the number of a line that is not an event
    """
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        first = stream.readline(MAX_LINE_BYTES + 1)
        begin = len(first)
        try:
            started = parse_event(first) if first.endswith(b"\n") else None
            if not isinstance(started, Started):
                return _whole(path)
            length = BLOCK
            while True:
                offset = max(begin, size - length)
                stream.seek(offset)
                lines = stream.read(size - offset).split(b"\n")
                complete = lines[:-1] if offset == begin else lines[1:-1]  # without partial first and last lines
                ends = _last(complete)
                if ends.epoch or offset == begin:
                    return ends._replace(started=started)
                length *= 4
        except ValueError:
            return _whole(path)


def sampled_losses(path: Path, count: int) -> list[tuple[int, float]]:
    """Return epoch and loss of up to `count` epochs, spread evenly over the bytes of a log."""
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
    """Parse a line without checks: good enough for small curves, of which hundreds are drawn at once."""
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
