"""The runs in a folder: listed in the order in which they started, and found by what a person would type.

Each run gets a number larger than those of the existing runs: clocks are set back, and one run dated 2300 would be the
latest for ever. The time only decides between equal numbers, which copies have.
"""

from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from retrograd.base.annotations import show
from retrograd.base.errors import RetrogradError, UsageError, did_you_mean, near_file
from retrograd.record.aside import has_aside
from retrograd.record.events import Started, read_events
from retrograd.record.run import EVENTS, RunFolder, RunSummary, is_run, readable

LAST = "last"
SHOWN = 5
CLOCKS_DIFFER = timedelta(days=1)  # between machines and zones; later dates are not believed


def next_number(root: Path) -> int:
    """Return a number larger than that of any run in a folder."""
    with contextlib.suppress(OSError):
        return 1 + max((_number(path) for path in root.iterdir()), default=0)
    return 1


def list_runs(root: Path) -> list[RunSummary]:
    """Return the runs in a folder, the latest last; the summary of a run that cannot be read says why."""
    return sorted((_summary(path) for path in _folders(root)), key=in_order)


def latest(root: Path) -> RunFolder:
    """Return the run that started last."""
    runs = list_runs(root)
    if not runs:
        raise UsageError("contains no runs", where=str(root), cure="train first, or name the folder with --runs")
    return RunFolder.open(runs[-1].path)


def find_run(root: Path, text: str, hint: str = "") -> RunFolder:
    """Find the run meant by a path, a folder name, the unique start of one, a name without its time, or `last`.

    Raises:  UsageError if there is none or several, with `hint` where it may not be a run that is meant; a name with a
             suffix is reported as a missing file
    """
    for path in (Path(text), Path(root) / text):
        if _is_run(path):
            return RunFolder.open(path)
    if text == LAST:
        return latest(root)
    paths = _folders(root)
    matches = [path for path in paths if path.name.startswith(text) or _untimed(path) == text] if text else []
    if len(matches) == 1:
        return RunFolder.open(matches[0])
    if matches:
        several = ", ".join(path.name for path in matches[-SHOWN:])
        raise UsageError(
            f"{show(text)} may mean {len(matches)} runs: {several}", where=str(root), cure="type more of the name"
        )
    if os.path.exists(text):
        return RunFolder.open(Path(text))  # which reports what is missing
    if Path(text).suffix:
        raise UsageError("not found", where=text, cure=near_file(text))
    known = [path.name for path in paths[-SHOWN:]] + [LAST] * bool(paths)
    cure = "; ".join(filter(None, [did_you_mean(text, known), hint]))
    raise UsageError(f"no run {show(text)}", where=str(root), cure=cure)


def _folders(root: Path) -> list[Path]:
    if not os.path.isdir(root):
        return []
    return sorted(path for path in Path(root).iterdir() if _is_run(path))


def _is_run(path: Path) -> bool:
    if not os.path.isdir(path):  # unlike those of Path, os.path functions accept any string
        return False
    return not readable(path) or (is_run(path) and (os.path.isfile(path / EVENTS) or has_aside(path)))


def _summary(path: Path) -> RunSummary:
    try:
        return RunFolder.open(path).summary()
    except RetrogradError as error:
        return RunSummary(path, path.name, problem=str(error))


def in_order(run: RunSummary) -> tuple[int, datetime, str]:
    """Return the key by which runs are sorted."""
    started = run.started
    plausible = started is not None and started <= datetime.now(UTC) + CLOCKS_DIFFER
    return run.number, started if started is not None and plausible else datetime.min.replace(tzinfo=UTC), run.path.name


def _number(folder: Path) -> int:
    with contextlib.suppress(RetrogradError, OSError):
        first = next(iter(read_events(folder / EVENTS)), None)
        return first.number if isinstance(first, Started) else 0
    return 0


def _untimed(path: Path) -> str:
    """Return `xor` for the folder `20310501-093000-xor`."""
    return re.sub(r"^\d{8}-\d{6}-", "", path.name)
