"""The first and the last events of a run's log, without what lies between: a list of many long runs needs no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from retrograd.record.events import MAX_LINE_BYTES, Epoch, Event, Started, Stopped, parse_event, read_events
from retrograd.record.files import open_regular

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


def sampled_epochs(path: Path, count: int) -> list[Epoch]:
    """Return up to so many epochs, evenly spread over the bytes of a log: enough to draw a small curve."""
    epochs: dict[int, Epoch] = {}
    with open_regular(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        for place in range(count):
            stream.seek(size * place // count)
            if place:
                stream.readline(MAX_LINE_BYTES)
            for _ in range(4):  # readings and notes lie between
                event = _event(stream.readline(MAX_LINE_BYTES))
                if isinstance(event, Epoch):
                    epochs[event.epoch] = event
                    break
    return [epochs[number] for number in sorted(epochs)]


def _event(line: bytes) -> Event | None:
    try:
        return parse_event(line) if line.endswith(b"\n") else None
    except ValueError:
        return None


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
