"""A run's folder: `config.yaml` (filled), `events.jsonl` (append-only) and `model.safetensors` (the best weights, of a
long run so far); `predictions.json` and `plane.json`, how it answered; `weights.bin`, the weights of a small
network in its course; `report.html`; and, once it was examined,
`diagnosis.json` and `repair.json`. `checkpoints/` holds its place, to go on, and `start.safetensors` the weights with
which it began if they were not drawn.

Whatever shows a run reads this folder and nothing else, so a run that was copied from elsewhere opens as well.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from retrograd.base.errors import DataError, ResourceError, UsageError
from retrograd.record.aside import has_aside, settle_if_free
from retrograd.record.events import Epoch, Event, Metrics, Stopped, beginning, read_events
from retrograd.record.files import read_text, write_file
from retrograd.record.layout import CONFIG, EVENTS, MODEL, REPORT, STOP
from retrograd.record.lock import is_locked
from retrograd.record.logs.ends import Ends, read_ends

__all__ = ["CONFIG", "EVENTS", "MODEL", "REPORT", "RunFolder", "RunSummary"]

MAX_CONFIG_BYTES = 2**20


@dataclass(frozen=True)
class RunSummary:
    """A run in one line. `metrics` are those of the best epoch; `problem` says why a run could not be read."""

    path: Path
    name: str
    task: str = ""
    status: Literal["finished", "running", "interrupted", "unreadable"] = "unreadable"
    started: datetime | None = None
    epochs: int = 0
    seconds: float = 0.0
    metrics: Metrics | None = None
    stop_reason: str | None = None
    problem: str = ""
    number: int = 0  # runs of one folder are numbered in the order of their starts
    planned: int = 0  # epochs; 0: not known


class RunFolder:
    """A run on disk, for reading; the run may still go on."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Return the run in a folder.

        Raises:  UsageError telling what is missing
        """
        path = Path(path)
        if not os.path.isdir(path):  # unlike Path's, it takes any text
            message = "not a folder" if os.path.exists(path) else "not found"
            raise UsageError(message, where=str(path), cure="give the folder of a run")
        if not readable(path):
            raise ResourceError("permission denied", where=str(path), cure="ask its owner for permission to read it")
        settle_if_free(path)
        missing = [name for name in (CONFIG, EVENTS) if not os.path.exists(path / name)]
        if missing:
            raise UsageError(f"not a run: it has no {' and no '.join(missing)}", where=str(path))
        return RunFolder(path)

    @property
    def model_path(self) -> Path:
        """Where the model is, or will be."""
        return self.path / MODEL

    def config_text(self) -> str:
        """Return the filled configuration, as YAML."""
        return read_text(self.path / CONFIG, MAX_CONFIG_BYTES)

    def events(self, size: int | None = None) -> Iterator[Event]:
        """Yield what has happened so far, or what the first bytes tell, in order."""
        return read_events(self.path / EVENTS, size)

    def beginning(self) -> int:
        """Return how many bytes of the events come before training."""
        return beginning(self.path / EVENTS)

    def stopped(self) -> Stopped | None:
        """Return how the run ended, if it has, as far as its events can be read."""
        last = None
        with contextlib.suppress(DataError):
            for event in self.events():
                last = event if isinstance(event, Stopped) else last
        return last

    def summary(self, ends: Ends | None = None) -> RunSummary:
        """Return the run in one line; the ends of its log may have been read already."""
        start, last, stop = ends or read_ends(self.path / EVENTS)
        if stop and stop.metrics:
            metrics: Metrics | None = stop.metrics
        else:
            best = self._epoch(stop.best_epoch) if stop and stop.best_epoch is not None else None
            metrics = best.metrics if best else last.metrics if last else None
        end = stop or last
        return RunSummary(
            self.path,
            name=start.name if start else self.path.name,
            task=start.task if start else "",
            status="finished" if stop else "running" if is_locked(self.path) else "interrupted",
            started=start.time.astimezone() if start and start.time else None,
            epochs=end.epoch if end else 0,
            seconds=end.seconds if end else 0.0,
            metrics=metrics,
            stop_reason=stop.reason if stop else None,
            number=start.number if start else 0,
            planned=max(start.epochs if start else 0, end.epoch if end else 0),
        )

    def _epoch(self, number: int) -> Epoch | None:
        return next((event for event in self.events() if isinstance(event, Epoch) and event.epoch == number), None)


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a run: not where a process died before it had written a configuration."""
    if any(os.path.exists(folder / name) for name in (CONFIG, MODEL)) or has_aside(folder):
        return True
    return os.path.isfile(folder / EVENTS) and os.path.getsize(folder / EVENTS) > 0


def readable(folder: Path) -> bool:
    """Return whether the system lets this process look into a folder."""
    return os.access(folder, os.R_OK | os.X_OK)


def ask_to_stop(run: Path) -> None:
    """Ask the process that writes a run to end it, everything saved; it looks for that wherever training may end.

    Raises:  ResourceError when the disk refuses
    """
    write_file(run / STOP, b"")
