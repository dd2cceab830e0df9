"""Checkpoints of a run, in `checkpoints/` of its folder: where it stood at some steps, and in its events.

One file each, named by its step, with a checksum over every byte and replaced as a whole. It counts only together with
the events that were recorded before it: their number of bytes and their SHA-256 stand in its facts.

Of a run whose parameters are cut among devices, each process writes its slices beside it, in a file that the checkpoint
names by its checksum, as the file's own name does: slices of the same step that another number of processes wrote stay.
The checkpoint is written last, so that it is whole or not there.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.errors import ModelFileError
from retrograd.record.files import make_folder, write_file
from retrograd.record.header import Form
from retrograd.record.layout import CHECKPOINTS
from retrograd.record.sealed import read_sealed, sealed, write_sealed

CHECKPOINT = Form("retrograd checkpoint", 1, "checkpoint", ("config", "facts"))
SLICES = Form("retrograd slices", 1, "slices", ("places",))
PARTS = "parts"  # among the facts: the checksum of each process's slices
MAX_BYTES = 2**40
NAME = re.compile(r"step-(\d{12})\.safetensors")
PART = re.compile(r"step-(\d{12})\.part-\d{5}-[0-9a-f]{16}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A run's arrays by name, its configuration, and what else its place needs (see `training/checkpoints.py`)."""

    step: int
    arrays: Mapping[str, np.ndarray]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]


class Slice(NamedTuple):
    """A part of an array: the array's shape, from where to where the part lies on each axis, and its numbers."""

    shape: tuple[int, ...]
    place: tuple[tuple[int, int], ...]
    numbers: np.ndarray


Slices = Mapping[str, Sequence[Slice]]  # by the array's name


def write_slices(run: Path, step: int, rank: int, slices: Slices) -> str:
    """Write the slices of one process, and return their checksum, by which a checkpoint of that step names them.

    Raises:  ResourceError when the disk refuses
    """
    folder = run / CHECKPOINTS
    make_folder(folder)
    flat = {f"{name}#{i}": part for name, parts in slices.items() for i, part in enumerate(parts)}
    places = {
        key: {"shape": list(part.shape), "place": [list(ends) for ends in part.place]} for key, part in flat.items()
    }
    arrays = {key: part.numbers for key, part in flat.items()}
    checksum, pieces = sealed(SLICES, arrays, {"places": places}, str(folder))
    write_file(_part(folder, step, rank, checksum), *pieces)
    return checksum


def _part(folder: Path, step: int, rank: int, checksum: str) -> Path:
    return folder / f"step-{step:012d}.part-{rank:05d}-{checksum[:16]}.safetensors"


def write_checkpoint(run: Path, checkpoint: Checkpoint, keep: int) -> None:
    """Write a checkpoint into the folder of a run, then delete all but the newest.

    Raises:  ResourceError when the disk refuses: the older ones are there then
    """
    folder = run / CHECKPOINTS
    make_folder(folder)
    texts = {"config": checkpoint.config, "facts": checkpoint.facts}
    write_sealed(folder / f"step-{checkpoint.step:012d}.safetensors", CHECKPOINT, checkpoint.arrays, texts)
    for path in checkpoint_paths(run)[keep:]:
        path.unlink(missing_ok=True)
    _forget_parts(run, before=checkpoint.step)


def checkpoint_paths(run: Path) -> list[Path]:
    """Return the files of a run's checkpoints, the newest first."""
    folder = run / CHECKPOINTS
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises:  UsageError, ModelFileError as for a model file
    """
    arrays, texts, _ = read_sealed(path, CHECKPOINT, MAX_BYTES)
    whole = _joined(path, texts["facts"].get(PARTS, []))
    return Checkpoint(_step(path), {**arrays, **whole}, texts["config"], texts["facts"])


def _joined(path: Path, checksums: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the arrays that are made of slices."""
    arrays: dict[str, np.ndarray] = {}
    missing: dict[str, int] = {}
    for rank, expected in enumerate(checksums):
        part = _part(path.parent, _step(path), rank, str(expected))
        if not part.exists():
            raise ModelFileError("damaged: a file with slices of it is gone", where=str(part))
        content = read_sealed(part, SLICES, MAX_BYTES)
        if content.checksum != expected:
            raise ModelFileError(f"damaged: these are not the slices that {path.name} names", where=str(part))
        for key, numbers in content.arrays.items():
            name = key.rpartition("#")[0]
            try:
                about = content.texts["places"][key]
                array = arrays.setdefault(name, np.empty(about["shape"], numbers.dtype))
                array[tuple(slice(*ends) for ends in about["place"])] = numbers
            except (KeyError, TypeError, ValueError, IndexError, MemoryError) as error:
                raise ModelFileError(f"damaged: {key} has no place: {error}", where=str(part)) from None
            missing[name] = missing.get(name, array.size) - numbers.size
    for name, count in missing.items():
        if count:
            raise ModelFileError(f"damaged: {count:,} numbers of it are in no file", where=f"{path}: {name}")
    return arrays


def forget_checkpoints(run: Path, *, but: Path | None = None, after: int = -1) -> None:
    """Delete the checkpoints of a run after a step, all but one; a folder that is empty then as well."""
    for path in checkpoint_paths(run):
        if path != but and _step(path) > after:
            path.unlink(missing_ok=True)
    _forget_parts(run)
    with contextlib.suppress(OSError):
        (run / CHECKPOINTS).rmdir()


def _forget_parts(run: Path, before: float = math.inf) -> None:
    """Delete slices of steps before one that no checkpoint names; of later ones some may just be written."""
    kept = {_step(path) for path in checkpoint_paths(run)}
    for path in (run / CHECKPOINTS).glob("step-*.part-*"):
        matched = PART.fullmatch(path.name)
        if matched and (step := int(matched[1])) < before and step not in kept:
            path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    matched = NAME.fullmatch(path.name)
    return int(matched[1]) if matched else 0
