"""A run folder.

    config.yaml                         the configuration, with all defaults
    events.jsonl                        what happened, append-only
    model.safetensors                   the best weights (so far, for a long run)
    predictions.json, plane.json        a summary of the predictions
    weights.bin                         the weights of a small network over training
    report.html                         the page
    diagnosis.json, repair.json         the results of `diagnose` and `repair`
    checkpoints/                        the training state, for resuming
    start.safetensors                   the initial weights, if they were not drawn at random

Whatever shows a run reads only this folder, so a run copied from elsewhere opens as well.
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
    """A run in one line. `metrics` are those of the best epoch; `problem` says why a run cannot be read."""

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
    number: int = 0  # the runs in a folder are numbered in the order in which they started
    planned: int = 0  # epochs; 0: unknown


class RunFolder:
    """A run on disk, for reading; it may still be running."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Open the run in a folder.

        Raises:  UsageError naming what is missing
        """
        path = Path(path)
        if not os.path.isdir(path):  # unlike Path.is_dir, it accepts any string
            message = "not a folder" if os.path.exists(path) else "not found"
            raise UsageError(message, where=str(path), cure="name a run folder")
        if not readable(path):
            raise ResourceError("permission denied", where=str(path), cure="ask its owner for permission to read it")
        settle_if_free(path)
        missing = [name for name in (CONFIG, EVENTS) if not os.path.exists(path / name)]
        if missing:
            raise UsageError(f"not a run: it has no {' and no '.join(missing)}", where=str(path))
        return RunFolder(path)

    @property
    def model_path(self) -> Path:
        """The path of the model file, which may not exist yet."""
        return self.path / MODEL

    def config_text(self) -> str:
        """Return the configuration with all defaults, as YAML."""
        return read_text(self.path / CONFIG, MAX_CONFIG_BYTES)

    def events(self, size: int | None = None) -> Iterator[Event]:
        """Yield the events so far, or those in the first `size` bytes, in order."""
        return read_events(self.path / EVENTS, size)

    def beginning(self) -> int:
        """Return the size in bytes of the events that precede training."""
        return beginning(self.path / EVENTS)

    def stopped(self) -> Stopped | None:
        """Return how the run ended, if it has, as far as its events can be read."""
        last = None
        with contextlib.suppress(DataError):
            for event in self.events():
                last = event if isinstance(event, Stopped) else last
        return last

    def summary(self, ends: Ends | None = None) -> RunSummary:
        """Summarise the run; pass `ends` if the ends of its log have already been read."""
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
    """Return whether a folder contains a run; not if a process died there before writing a configuration."""
    if any(os.path.exists(folder / name) for name in (CONFIG, MODEL)) or has_aside(folder):
        return True
    return os.path.isfile(folder / EVENTS) and os.path.getsize(folder / EVENTS) > 0


def readable(folder: Path) -> bool:
    """Return whether this process may read a folder."""
    return os.access(folder, os.R_OK | os.X_OK)


def ask_to_stop(run: Path) -> None:
    """Ask the process that writes a run to stop and save everything; it checks wherever training may end.

    Raises:  ResourceError if writing fails
    """
    write_file(run / STOP, b"")
