"""The lock of a run folder, which allows one writer; the system releases it when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from retrograd.base.errors import RunInUseError
from retrograd.record.files import refusal

LOCK = ".lock"
TRIES = 3  # `is_locked` takes the lock for a moment, which must not look like another writer
PAUSE_SECONDS = 0.02


class Lock:
    """The exclusive right to write to a run folder, until `release` or the end of the process.

    Raises:  RunInUseError if another process has it
    """

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise refusal(error, path) from None
        try:
            if not self._acquired():
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
            status = os.stat(folder / LOCK, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(status, os.fstat(self._descriptor))

    def release(self) -> None:
        """Allow other processes to write."""
        os.close(self._descriptor)

    def _acquired(self) -> bool:
        for _ in range(TRIES):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(PAUSE_SECONDS)
            else:
                return True
        return False


def is_locked(folder: Path) -> bool:
    """Return whether a process is writing to a run folder."""
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
    """Return the error for a folder that another process is writing to."""
    with open(folder / LOCK, "rb") as stream:
        owner = stream.read(20)
    process = f"process {int(owner)}" if owner.isdigit() else "another process"
    return RunInUseError(
        f"{process} is writing to this run", where=str(folder), cure="use another --run, or wait until it ends"
    )
