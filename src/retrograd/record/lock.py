"""One writer to a run folder: a lock that the system drops when its process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from retrograd.base.errors import RunInUseError
from retrograd.record.files import refusal

LOCK = ".lock"
TRIES = 3  # `is_locked` holds the lock for a moment, which must not look like another writer
PAUSE_SECONDS = 0.02


class Lock:
    """The right to write to a run folder, until `release` or the end of the process.

    Raises:  RunInUseError when another has it
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise refusal(error, path) from None
        try:
            if not self._taken():
                raise in_use(folder)
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, str(os.getpid()).encode())
        except BaseException as error:
            self.release()
            if isinstance(error, OSError):
                raise refusal(error, path) from None
            raise

    def is_in(self, folder: Path) -> bool:
        """Return whether the lock's file is still the one in the folder."""
        try:
            there = os.stat(folder / LOCK, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def release(self) -> None:
        """Let others write."""
        os.close(self._descriptor)

    def _taken(self) -> bool:
        for _ in range(TRIES):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE_SECONDS)
            else:
                return True
        return False


def is_locked(folder: Path) -> bool:
    """Whether somebody writes to a run folder at this moment."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks: nobody can hold one
        return False
    finally:
        os.close(descriptor)
    return False


def in_use(folder: Path) -> RunInUseError:
    """Return the error for a folder that somebody writes to."""
    with open(folder / LOCK, "rb") as stream:
        owner = stream.read(20)
    process = f"process {int(owner)}" if owner.isdigit() else "another process"
    return RunInUseError(
        f"{process} writes to this run", where=str(folder), cure="use another --run, or wait for its end"
    )
