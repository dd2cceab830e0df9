"""Files of a run: only regular files are opened, writes are atomic, and system errors are explained."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import shutil
import stat
from pathlib import Path

from retrograd.base.errors import DataError, ResourceError, RetrogradError, UsageError, near_file

TEMPORARY = ".tmp"  # suffix of a file that is being written
REFUSALS = {
    errno.ENOSPC: ("disk full", "free some space or write to another disk"),
    errno.EDQUOT: ("disk quota exceeded", "free some space or write to another disk"),
    errno.EFBIG: ("exceeds the system's limit on file size", "raise the limit (ulimit -f) or write to another disk"),
    errno.EROFS: ("read-only file system", "choose a writable folder"),
    errno.EACCES: ("permission denied", "choose a writable folder"),
    errno.EPERM: ("permission denied", "choose a writable folder"),
    # the parent folders exist by now, so the file system itself (say, /proc) refuses
    errno.ENOENT: ("permission denied: nothing can be created here", "choose a writable folder"),
}
MISTAKES = {
    errno.ENOTDIR: "not a folder",
    errno.EEXIST: "not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a link where a folder or file was expected",
}


def refusal(error: OSError, path: Path) -> RetrogradError:
    """Return the error to raise if the system refuses to create or write `path`."""
    if error.errno in MISTAKES:
        return UsageError(MISTAKES[error.errno], where=str(path), cure="choose another path")
    message, cure = REFUSALS.get(error.errno or 0, (f"cannot be written: {error.strerror or error}", ""))
    return ResourceError(message, where=str(path), cure=cure)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, unless they exist."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(error, path) from None
    except ValueError:  # a NUL or a lone surrogate
        raise UsageError("not a valid folder name", where=repr(str(path))) from None


def write_file(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file atomically: readers see either the old contents or the new, never a part.

    Raises:  ResourceError if the disk is full, read-only or forbidden; UsageError if `path` cannot be a file
    """
    part = path.parent / f".{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
    try:
        if not path.parent.is_dir():
            raise UsageError("no such folder", where=str(path.parent), cure="create it first")
        if path.exists() and not path.is_file():
            raise UsageError("not a regular file", where=str(path), cure="choose another path")
        try:
            with open(part, "xb") as stream:
                stream.writelines(parts)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(part, path)
        except BaseException:  # including Ctrl-C
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise refusal(error, path) from None
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file, or a folder and everything in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def temporary(folder: Path) -> list[Path]:
    """Return the partly written files that a killed process left in a folder."""
    return list(folder.glob(f".[0-9]*-{'[0-9a-f]' * 8}{TEMPORARY}"))


def remove_temporary(folder: Path) -> None:
    """Remove the partly written files in a folder."""
    for path in temporary(folder):
        path.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Make a rename survive a power cut, if the file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file for reading, after checking that it is regular: a FIFO would block, a device has no end."""
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
        stream = open(path, "rb") if is_regular else None  # noqa: SIM115 (the caller closes it)
    except PermissionError:
        raise ResourceError("permission denied", where=str(path)) from None
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL in the name
        raise UsageError("not found", where=str(path), cure=near_file(path)) from None
    except OSError as error:
        raise UsageError(f"cannot be opened: {error.strerror}", where=str(path)) from None
    if stream is None:
        raise UsageError("not a regular file", where=str(path), cure="check the path")
    return stream


def read_text(path: Path, max_bytes: int) -> str:
    """Return the text of a small UTF-8 file."""
    with open_regular(path) as stream:
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise DataError(f"larger than {max_bytes:,} bytes", where=str(path))
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 at byte {error.start}", where=str(path)) from None
