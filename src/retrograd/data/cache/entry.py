"""Entries of the data cache: folders that appear complete or not at all, written by one process at a time.

Writing or removing an entry requires the lock of its key; using it requires a shared lock on its manifest. Both locks
end with the process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.caches import cache_folder
from retrograd.base.errors import ResourceError
from retrograd.base.sentence import setting

MANIFEST = "manifest.json"
SHARE = 0.25  # of the disk that all entries together may use when the next one is written
LOCK, TEMPORARY = ".lock", ".tmp"
KIND = "data of retrograd"  # in the manifest of each entry
NAME = re.compile(r"([0-9a-f]{32})(-\d+-[0-9a-f]{8}(\.old)?\.tmp)?")  # of an entry's folder
CURE = "free some space, or name a folder on another disk with `--cache DIR` (" + setting("data.cache", "DIR") + ")"


class KeptData(NamedTuple):
    """The contents of a cache folder: the number of tables, their bytes, and the number in use, which stay."""

    folder: Path
    tables: int
    bytes: int
    in_use: int = 0


class NoCacheError(ResourceError):
    """Raised if there is no folder for writing columns."""


def cache_root(chosen: str | Path | None = None) -> Path:
    """Return the folder of the cache.

    Raises:  NoCacheError without a home folder
    """
    folder = cache_folder("data") if chosen is None else Path(chosen)
    if folder is None:
        raise NoCacheError("there is no cache folder", where="HOME", cure="name one with `--cache DIR`")
    return folder


class Lease:
    """A shared lock on an entry, which prevents its removal while this object lives."""

    def __init__(self, number: int) -> None:
        self.number = number  # of the open manifest

    def __del__(self) -> None:
        os.close(self.number)

    def last_as_long_as(self, objects: Iterable[Any]) -> None:
        """Keep the lock until all of these objects are gone."""
        for user in objects:
            weakref.finalize(user, _let_go, self)


def _let_go(lease: Lease) -> None:
    """Do nothing: only the reference matters."""


@dataclass(frozen=True)
class Entry:
    """The cache entry of a key."""

    root: Path
    key: str

    @property
    def folder(self) -> Path:
        """The folder with the files and their manifest."""
        return self.root / self.key

    def leased(self) -> tuple[dict[str, Any], Lease] | None:
        """Return the manifest of a complete entry and its lock; None if there is no such entry."""
        path = self.folder / MANIFEST
        with contextlib.suppress(OSError):
            lease = Lease(os.open(path, os.O_RDONLY))
            fcntl.flock(lease.number, fcntl.LOCK_SH)
            manifest = _manifest(self.folder)
            if manifest is not None and os.path.samestat(os.fstat(lease.number), path.stat()):  # not removed meanwhile
                return manifest, lease
        return None

    def touch(self) -> None:
        """Record that the entry is used now, if the folder is writable."""
        with contextlib.suppress(OSError):
            self.folder.touch()

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Yield a folder for the files and the manifest; it becomes the entry when all of it is on the disk. The least
        recently used entries are removed to make room for it.

        Raises:  ResourceError if writing fails; MemoryError if there is no memory to map files
        """
        for folder in _entries(self.root):
            if folder.name.startswith(f"{self.key}-"):  # left by a killed process, since we hold the lock
                shutil.rmtree(folder, ignore_errors=True)
        temporary = self.root / f"{self.key}-{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
        try:
            _prune(self.root)
            temporary.mkdir()
            marker = json.dumps({"kind": KIND, "key": self.key})
            (temporary / MANIFEST).write_text(marker, encoding="utf-8")
            yield temporary
            for path in sorted(temporary.rglob("*")):
                _sync(path)
            _sync(temporary)
            if self.folder.exists():  # damaged
                self.folder.rename(temporary.with_suffix(f".old{TEMPORARY}"))
            temporary.rename(self.folder)
            _sync(self.root)
        except OSError as error:
            if isinstance(error, ResourceError) or not _is_below(error.filename, self.root):
                raise  # an error of the data being read
            if error.errno == errno.ENOMEM or f"os error {errno.ENOMEM}" in str(error):  # polars sets no number
                raise MemoryError("files of the data could not be mapped: is there a limit (`ulimit -v`)?") from None
            raise ResourceError(_refusal(error), where=str(self.root), cure=CURE) from None
        finally:
            for path in (temporary, temporary.with_suffix(f".old{TEMPORARY}")):
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def locked(root: Path, key: str) -> Iterator[None]:
    """Let one process at a time write the entry of a key; others wait and then find it.

    Raises:  NoCacheError if the folder is not writable or does not support locks
    """
    with contextlib.ExitStack() as opened:
        try:
            root.mkdir(parents=True, exist_ok=True)
            lock = opened.enter_context(open(root / f"{key}{LOCK}", "ab"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            raise NoCacheError(_refusal(error), where=str(root), cure=CURE) from None
        yield


def kept_data(root: Path) -> KeptData:
    """Return the contents of a cache."""
    folders = [path for path in _entries(root) if not path.name.endswith(TEMPORARY)]
    return KeptData(root, len(folders), sum(map(_bytes, folders)))


def clear_data(root: Path) -> KeptData:
    """Remove all entries that no process is writing or using; return the removed contents and the number in use."""
    before = kept_data(root)
    in_use = sum(not _remove(folder) for folder in _entries(root))
    after = kept_data(root)
    return KeptData(root, before.tables - after.tables, before.bytes - after.bytes, in_use)


def _prune(root: Path) -> None:
    """Remove unused entries beyond a share of the disk, the least recently used first."""
    limit = SHARE * shutil.disk_usage(root).total
    sizes = {folder: _bytes(folder) for folder in sorted(_entries(root), key=_last_used)}
    total = sum(sizes.values())
    for folder, size in sizes.items():
        if total > limit and _remove(folder):
            total -= size


def _remove(folder: Path) -> bool:
    """Remove an entry; return False if a process is writing or using it."""
    lock = folder.parent / f"{folder.name.partition('-')[0]}{LOCK}"
    try:
        with open(lock, "ab") as writing, open(folder / MANIFEST, "r+b") as using:
            for file in (writing, using):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:  # other errors: it is already gone, or may not be removed
        return not isinstance(error, BlockingIOError)
    return True


def _entries(root: Path) -> list[Path]:
    """Return the entries' folders in a cache, complete or being written."""
    with contextlib.suppress(OSError):
        return [path for path in root.iterdir() if _manifest(path) is not None]
    return []


def _manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of an entry's folder; None if the name or the manifest is foreign."""
    name = NAME.fullmatch(folder.name)
    if name is None:
        return None
    try:
        plain = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(plain, dict) or (plain.get("kind"), plain.get("key")) != (KIND, name[1]):
        return None
    return plain


def _last_used(folder: Path) -> float:
    with contextlib.suppress(OSError):
        return folder.stat().st_mtime
    return 0.0


def _bytes(folder: Path) -> int:
    """Return the size of the files in a folder, which other processes may be removing."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _refusal(error: OSError) -> str:
    return f"cannot be written: {error.strerror or error}"


def _is_below(filename: object, root: Path) -> bool:
    """Return whether an error concerns the cache; errors without a file name come from writing to an open file."""
    if not isinstance(filename, (str, bytes)):
        return True
    return Path(os.fsdecode(filename)).absolute().is_relative_to(root.absolute())


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
