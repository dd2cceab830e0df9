"""The previous run of a folder, set aside by `--force` until the model of the new run is on disk.

Each file is renamed to `.replaced-NAME`; then the marker `.replaced` is created. A process can be killed between any
two of these steps, so the files that remain must determine which run counts:

    no marker                 the renaming is incomplete: the previous run counts, the new one has no files yet
    marker, no new model      the previous run counts: the new one never saved a model
    marker and new model      the new run counts
"""

from __future__ import annotations

from pathlib import Path

from retrograd.base.errors import RetrogradError
from retrograd.record.files import remove
from retrograd.record.layout import FILES, MODEL
from retrograd.record.lock import Lock

MARK = ".replaced"
ASIDE = f"{MARK}-"  # prefix of the file names


def has_aside(folder: Path) -> bool:
    """Return whether a folder contains files of a run that was set aside."""
    return any(path.exists() for path in (folder / MARK, *_asides(folder)))


def set_aside(folder: Path) -> None:
    """Set aside the files of the run in a folder; the caller holds the folder's lock."""
    names = [name for name in FILES if (folder / name).exists()]
    for name in names:
        (folder / name).rename(folder / (ASIDE + name))
    if names:
        (folder / MARK).touch()


def put_back(folder: Path) -> bool:
    """Restore the files that were set aside, replacing those of a newer run; return whether there were any."""
    asides = _asides(folder)
    if (folder / MARK).exists():
        for name in FILES:
            remove(folder / name)
        (folder / MARK).unlink()
    for path in asides:
        path.replace(folder / path.name.removeprefix(ASIDE))
    return bool(asides)


def forget(folder: Path) -> None:
    """Delete the run that was set aside, and the marker last: until then readers know that the new run counts."""
    for path in _asides(folder):
        remove(path)
    (folder / MARK).unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """Finish what a dead process left undone: restore the previous run, or delete it if there is a new model.

    The caller holds the folder's lock.
    """
    if (folder / MARK).exists() and (folder / MODEL).exists():
        forget(folder)
    else:
        put_back(folder)


def settle_if_free(folder: Path) -> None:
    """Settle a folder before reading it, unless a process still writes to it or it cannot be changed."""
    if not has_aside(folder):
        return
    try:
        lock = Lock(folder)
    except RetrogradError:
        return
    try:
        settle(folder)
    except OSError:  # read-only: read it as it is
        return
    finally:
        lock.release()


def _asides(folder: Path) -> list[Path]:
    return [path for name in FILES if (path := folder / (ASIDE + name)).exists()]
