"""The runs in the studio's folder: found by folder name, and reread only if they changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrograd.base.document import parse_document
from retrograd.base.errors import RetrogradError, UsageError
from retrograd.record.events import Epoch, Stopped
from retrograd.record.examination import REPAIR, Examined, read_examined, read_repaired
from retrograd.record.judged import read_judged
from retrograd.record.layout import DIAGNOSIS, EVENTS, MODEL, PREDICTIONS, STOP
from retrograd.record.lock import is_locked
from retrograd.record.logs.ends import read_ends, sampled_losses
from retrograd.record.plane import read_plane
from retrograd.record.run import RunFolder, RunSummary
from retrograd.record.runs import in_order
from retrograd.report.chance import chance_of

POINTS = 32  # of the small curve next to a run
TELLING = ("accuracy", "r2", "iou", "map", "auc", "mean_auc", "loss")  # metrics, most informative first
PARTS = ("test", "valid", "train")

Stamp = tuple[int, ...]


class GoneError(UsageError):
    """A run that does not exist."""


class Shelf:
    """The runs in one folder. No part of a request becomes part of a path: runs are looked up by name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._rows: dict[str, tuple[Stamp, dict[str, Any], RunSummary]] = {}

    def folders(self) -> dict[str, Path]:
        """Return the folders with runs by name, ignoring links."""
        folders = {}
        try:
            with os.scandir(self.root) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not entry.is_dir(follow_symlinks=False) or not is_text(entry.name):
                        continue
                    path = Path(entry.path)
                    if is_regular(path / EVENTS):
                        folders[entry.name] = path
        except FileNotFoundError:  # nothing was trained yet
            return {}
        return folders

    def folder(self, name: str) -> Path:
        """Return a run's folder.

        Raises:  GoneError if there is no run with this name
        """
        path = self.folders().get(name)
        if path is None:
            raise GoneError("the run no longer exists", where=name, cure="go back to the list of runs")
        return path

    def rows(self) -> list[dict[str, Any]]:
        """Return a summary row for each run, latest first."""
        rows = {}
        for name, path in self.folders().items():
            stamp = stamp_of(path)
            known = self._rows.get(name)
            rows[name] = known if known is not None and known[0] == stamp else (stamp, *row_of(path))
        self._rows = rows
        running = {name: is_locked(self.root / name) for name, (_, row, _) in rows.items() if row["open"]}
        ordered = sorted(rows, key=lambda name: in_order(rows[name][2]), reverse=True)
        return [with_state(rows[name][1], running.get(name, False)) for name in ordered]

    def row(self, name: str) -> dict[str, Any]:
        """Return the summary row of one run."""
        path = self.folder(name)
        row, _ = row_of(path)
        return with_state(row, is_locked(path) if row["open"] else False)


def is_text(name: str) -> bool:
    """Return whether a name is valid UTF-8, as JSON requires."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_regular(path: Path) -> bool:
    """Return whether a path is a file, not a link to one."""
    return path.is_file() and not path.is_symlink()


def stamp_of(path: Path) -> Stamp:
    """Return a stamp that changes when the run's files do."""
    stamp: list[int] = []
    for name in (EVENTS, DIAGNOSIS, PREDICTIONS, REPAIR):
        try:
            status = os.stat(path / name)
        except OSError:
            stamp += [0, 0, 0]
        else:
            stamp += [status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(stamp)


def with_state(row: dict[str, Any], running: bool) -> dict[str, Any]:
    """Return a row with the state of the run."""
    if not row["open"]:
        return row
    return {**row, "state": "running" if running else "interrupted"}


def row_of(path: Path) -> tuple[dict[str, Any], RunSummary]:
    """Return the row of a run for the list, and its summary."""
    try:
        folder = RunFolder.open(path)
        ends = read_ends(path / EVENTS)
        summary = folder.summary(ends)
        curve = sampled_losses(path / EVENTS, POINTS)
    except RetrogradError as error:
        summary = RunSummary(path, path.name, problem=str(error))
        return {
            "id": path.name,
            "name": path.name,
            "open": False,
            "state": "unreadable",
            "problem": str(error),
        }, summary
    examined = quietly(lambda: read_examined(path))
    stopped = ends.stopped
    row = {
        "id": path.name,
        "name": summary.name,
        "task": summary.task,
        "open": stopped is None,
        "state": "finished" if stopped is None or not stopped.may_go_on else "interrupted",
        "started": summary.started.isoformat() if summary.started else None,
        "epochs": summary.epochs,
        "planned": summary.planned,
        "steps": stopped.step if stopped else ends.epoch.step if ends.epoch else 0,
        "seconds": summary.seconds,
        "reason": summary.stop_reason,
        "sentence": stopped.sentence if stopped else "",
        "best": stopped.best_epoch if stopped else None,
        "metrics": summary.metrics or {},
        "score": score_of(summary.metrics or {}),
        "curve": curve,
        "verdict": examined.verdict if examined else None,
        "chance": beside_chance(path, ends.epoch, stopped),
        "model": is_regular(path / MODEL),
        "asked": (path / STOP).exists(),
        "problem": "",
    }
    return row, summary


def score_of(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, Any] | None:
    """Return the most telling metric of the part furthest from training."""
    part = next((part for part in PARTS if metrics.get(part)), None)
    if part is None:
        return None
    name = next((name for name in TELLING if name in metrics[part]), next(iter(metrics[part])))
    return {"part": part, "metric": name, "value": metrics[part][name]}


def beside_chance(path: Path, epoch: Epoch | None, stopped: Stopped | None) -> Any:
    """Return the score of the best constant answer, and whether the run is no better."""
    judged = quietly(lambda: read_judged(path))
    scores = next((event.metrics for event in (stopped, epoch) if event and event.metrics), {})
    chance = judged and chance_of(judged, scores)
    if chance is None:
        return None
    return {"metric": chance.metric, "level": chance.level, "answer": chance.answer, "reached": chance.reached,
            "failed": chance.is_failure}  # fmt: skip


def details(path: Path) -> dict[str, Any]:
    """Return the contents of a run's folder other than its events."""
    examined: Examined | None = quietly(lambda: read_examined(path))
    repaired = quietly(lambda: read_repaired(path / REPAIR))
    findings = [finding.plain() for finding in examined.findings] if examined else []
    text = quietly(lambda: RunFolder(path).config_text()) or ""
    return {
        "config": text,
        "settings": quietly(lambda: flat(parse_document(text).values)) or {},
        "diagnosis": examined and {"verdict": examined.verdict, "sentence": examined.sentence, "findings": findings},
        "repair": repaired,
        "plane": quietly(lambda: read_plane(path)),
        "judged": quietly(lambda: read_judged(path)),
    }


def flat(values: Any, path: str = "") -> dict[str, str]:
    """Return nested settings as texts by dotted paths."""
    if isinstance(values, Mapping):
        items = [(str(key), item) for key, item in values.items()]
    elif isinstance(values, list) and any(isinstance(item, (Mapping, list)) for item in values):
        items = [(str(i), item) for i, item in enumerate(values)]
    else:
        return {path: str(values)}
    return {key: text for name, item in items for key, text in flat(item, f"{path}.{name}" if path else name).items()}


def quietly(read: Any) -> Any:
    """Return what `read` returns, or None if it fails, so that the rest of a run can still be shown."""
    try:
        return read()
    except RetrogradError:
        return None
