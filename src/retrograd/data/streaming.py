"""Data that stay in files: which data do, and their columns, written by an earlier run or by this one."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.allocator import returning
from retrograd.base.errors import ConfigError, RetrogradWarning
from retrograd.base.memory import host_bytes
from retrograd.base.sentence import from_plain, to_plain
from retrograd.data.audio.wav import SUFFIXES as SOUND_SUFFIXES
from retrograd.data.cache.entry import Entry, cache_root, locked
from retrograd.data.cache.stored import Columns, cache_key, read_parts, read_seen, stored_seen, write_manifest
from retrograd.data.images.decoding import SUFFIXES as IMAGE_SUFFIXES
from retrograd.data.patterns import is_pattern, matching
from retrograd.data.preprocessing import Preprocessing
from retrograd.data.read.compression import SUFFIXES as PACKED
from retrograd.data.read.compression import inner_name
from retrograd.data.read.delimited import SEPARATED
from retrograd.data.read.files import MEMORY_PER_BYTE, file_digest
from retrograd.data.read.folders import files_below
from retrograd.data.read.parts import tables_below
from retrograd.data.row_places import Seen
from retrograd.data.scanned import MixedColumns, Spill, spilling
from retrograd.data.settings import DataSettings, Task
from retrograd.data.source import Source, folder_digests, joined_digest, read_source
from retrograd.data.table import TextForm

COLUMN_FILES = (".parquet", ".feather", ".arrow", ".ipc")
STREAMED = (*SEPARATED, ".jsonl", ".ndjson", *COLUMN_FILES)
COLUMN_MEMORY = 10  # bytes of memory per byte of a column file while it becomes batches: float64 twice, and batches
UNPACKED = 5  # typical ratio of decompressed to compressed size
SHARE = 0.5  # of the free memory that a table may use

Build = Callable[[Source, Path], Any]  # builds a data set with its columns in files of a folder


class Kept(NamedTuple):
    """The stored facts of a data set, with its columns mapped into memory."""

    name: str
    task: Task
    train: dict[str, np.ndarray]
    valid: dict[str, np.ndarray] | None
    test: dict[str, np.ndarray] | None
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    digest: str
    form: TextForm | None
    seen: Mapping[str, Seen]


def kept(settings: DataSettings, base_dir: Path, digest: str, build: Build) -> Kept:
    """Return data with columns in files, writing them first unless an earlier run has done so.

    Warns:  the warnings of the run that wrote them
    """
    root = cache_root(None if settings.cache is None else base_dir / settings.cache)
    entry = Entry(root, cache_key(settings, digest))
    stored = _stored(entry)
    if stored is None:
        with locked(root, entry.key):
            stored = _stored(entry)
            if stored is None:
                with entry.writing() as folder:
                    _keep(settings, base_dir, digest, build, entry.key, folder)
                stored = _stored(entry)
                assert stored is not None
    plain, parts, seen = stored
    for message in plain["warnings"]:
        warnings.warn(from_plain(message), RetrogradWarning, stacklevel=3)
    form = plain["form"]
    return Kept(
        plain["name"],
        plain["task"],
        parts["train"],
        parts.get("valid"),
        parts.get("test"),
        Preprocessing.from_json(plain["preprocessing"]),
        tuple(map(from_plain, plain["notes"])),
        digest,
        None if form is None else TextForm(*form),
        seen,
    )


def _stored(entry: Entry) -> tuple[dict[str, Any], dict[str, Columns], dict[str, Seen]] | None:
    """Return the facts, columns and rows of an entry if it is complete; it is not removed while these are in use."""
    leased = entry.leased()
    if leased is None:
        return None
    manifest, lease = leased
    parts = read_parts(entry, manifest)
    if parts is None:
        return None
    entry.touch()
    seen = read_seen(entry.folder, manifest["seen"])
    lease.last_as_long_as(column.base for columns in parts.values() for column in columns.values())
    lease.last_as_long_as(rows.rows for rows in seen.values())
    return manifest, parts, seen


def _keep(settings: DataSettings, base_dir: Path, digest: str, build: Build, key: str, folder: Path) -> None:
    """Read, split and preprocess data that stay in files, and write their columns and manifest to a folder."""
    raw, text = folder / "raw", frozenset[str]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        while True:
            try:
                with spilling(Spill(raw, settings, digest, text)):
                    source = read_source(settings, base_dir)
                break
            except MixedColumns as mixed:
                text |= mixed.names
                shutil.rmtree(raw)
        with returning():
            dataset = build(source, folder)
    texts = (warning.message.args[0] for warning in caught if isinstance(warning.message, RetrogradWarning))
    facts = {
        "name": dataset.name,
        "task": dataset.task,
        "preprocessing": dataset.preprocessing.to_json(),
        "notes": [to_plain(note) for note in dataset.notes],
        "warnings": [to_plain(text) for text in dict.fromkeys(texts)],
        "form": dataset.form,
        "seen": stored_seen(folder, dataset.seen),
    }
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    write_manifest(folder, key, {name: batch for name, batch in parts.items() if batch is not None}, facts)
    shutil.rmtree(raw)


def streamed_digest(settings: DataSettings, base_dir: Path) -> str | None:
    """Return the digest of data that stay in files; None if they are read into memory.

    Raises:  ConfigError for `stream: always` with data that cannot stay in files
    """
    paths = [base_dir / name for name in (settings.path, settings.valid_path, settings.test_path) if name is not None]
    if settings.stream == "never" or not paths:
        return None
    files = {path: _table_files(path, settings) for path in paths}
    if not all(files.values()):
        if settings.stream == "always" and all(path.exists() or is_pattern(path) for path in paths):
            cure = f"use plain tables, in files ending in {', '.join(STREAMED)}"
            raise ConfigError("these data cannot be read from files in training", where="data.stream", cure=cure)
        return None
    room = host_bytes()
    needed = sum(map(_bytes_in_memory, chain.from_iterable(files.values())))
    if settings.stream == "auto" and (room is None or needed <= room * SHARE):
        return None
    limit = settings.max_bytes
    digests = [
        folder_digests(path, named, limit) if path.is_dir() else [file_digest(file, limit) for file in named]
        for path, named in files.items()
    ]
    return joined_digest([*chain.from_iterable(digests)])


def _table_files(path: Path, settings: DataSettings) -> list[Path]:
    """Return the files of a plain table that can stay in files; empty for other data."""
    if (settings.images or settings.audio or settings.text or settings.windows) is not None:
        return []
    if path.is_dir():
        files = [] if any(files_below(path, (*IMAGE_SUFFIXES, *SOUND_SUFFIXES))) else tables_below(path)
    else:
        files = matching(path) if is_pattern(path) else [path] if path.is_file() else []
    return files if all(Path(inner_name(file)).suffix in STREAMED for file in files) else []


def _bytes_in_memory(path: Path) -> int:
    """Return the approximate memory that a table needs while it becomes batches."""
    is_text = Path(inner_name(path)).suffix not in COLUMN_FILES
    factor = (MEMORY_PER_BYTE if is_text else COLUMN_MEMORY) * (UNPACKED if path.suffix.lower() in PACKED else 1)
    return factor * path.stat().st_size
