"""The earlier run of a folder, set aside by `--force` until the model of the new run is on disk.

Each file is renamed to `.replaced-NAME`; `.replaced` is created once all of them are. A process can be killed between
any two of these steps, so what remains must say which run counts:

    no mark                   the renaming was not complete: the earlier run counts, no file of the new one exists
    mark, no new model        the earlier run counts: the new one never came to a model
    mark, and a new model     the new run counts
"""

from __future__ import annotations

from pathlib import Path

from retrograd.base.errors import RetrogradError
from retrograd.record.files import remove
from retrograd.record.layout import FILES, MODEL
from retrograd.record.lock import Lock

MARK = ".replaced"
ASIDE = f"{MARK}-"  # before the names of the files


def has_aside(folder: Path) -> bool:
    """Return whether a folder holds files of a run that was set aside."""
    return any(path.exists() for path in (folder / MARK, *_asides(folder)))


def set_aside(folder: Path) -> None:
    """Rename the files of the run in a folder; the caller holds the folder's lock."""
    moved = [name for name in FILES if (folder / name).exists()]
    for name in moved:
        (folder / name).rename(folder / (ASIDE + name))
    if moved:
        (folder / MARK).touch()


def put_back(folder: Path) -> bool:
    """Rename the files back, in place of those of a newer run; return whether there were any."""
    asides = _asides(folder)
    if (folder / MARK).exists():
        for name in FILES:
            remove(folder / name)
        (folder / MARK).unlink()
    for path in asides:
        path.replace(folder / path.name.removeprefix(ASIDE))
    return bool(asides)


def forget(folder: Path) -> None:
    """Delete the run that was set aside, the mark last: until then a reader knows that the new run counts."""
    for path in _asides(folder):
        remove(path)
    (folder / MARK).unlink(missing_ok=True)


def settle(folder: Path) -> None:
    """Finish what a process that died left undone: put the earlier run back, or forget it if there is a new model.

    The caller holds the folder's lock.
    """
    if (folder / MARK).exists() and (folder / MODEL).exists():
        forget(folder)
    else:
        put_back(folder)


def settle_if_free(folder: Path) -> None:
    """Do the same before reading, unless a process still writes to the folder or nothing may be changed there."""
    if not has_aside(folder):
        return
    try:
        lock = Lock(folder)
    except RetrogradError:
        return
    try:
        settle(folder)
    except OSError:  # read-only: what is there is read as it is
        return
    finally:
        lock.release()


def _asides(folder: Path) -> list[Path]:
    return [path for name in FILES if (path := folder / (ASIDE + name)).exists()]
