"""Checkpoints of a run, in `checkpoints/` of its folder: the training state after some steps.

Each is one file, named by its step, with a checksum over every byte, and written atomically. It is valid only together
with the events recorded before it: its facts contain their size in bytes and their SHA-256.

If the parameters are sharded across devices, each process writes its slices to a separate file. Both the checkpoint and
the file's name contain the checksum of the slices, so slices of the same step from a different number of processes are
not overwritten. The checkpoint is written last, so it is either complete or absent.
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
PARTS = "parts"  # the fact that lists the checksum of each process's slices
MAX_BYTES = 2**40
NAME = re.compile(r"step-(\d{12})\.safetensors")
PART = re.compile(r"step-(\d{12})\.part-\d{5}-[0-9a-f]{16}\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A run's arrays by name, its configuration, and other facts needed to resume (see `training/checkpoints.py`)."""

    step: int
    arrays: Mapping[str, np.ndarray]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]


class Slice(NamedTuple):
    """A part of an array: the shape of the whole array, the part's start and end on each axis, and its numbers."""

    shape: tuple[int, ...]
    place: tuple[tuple[int, int], ...]
    numbers: np.ndarray


Slices = Mapping[str, Sequence[Slice]]  # by the name of the array


def write_slices(run: Path, step: int, rank: int, slices: Slices) -> str:
    """Write the slices of one process; return their checksum, by which the checkpoint of that step refers to them.

    Raises:  ResourceError if writing fails
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
    """Write a checkpoint to a run folder, then delete all but the newest `keep`.

    Raises:  ResourceError if writing fails; the older checkpoints are then intact
    """
    folder = run / CHECKPOINTS
    make_folder(folder)
    texts = {"config": checkpoint.config, "facts": checkpoint.facts}
    write_sealed(folder / f"step-{checkpoint.step:012d}.safetensors", CHECKPOINT, checkpoint.arrays, texts)
    for path in checkpoint_paths(run)[keep:]:
        path.unlink(missing_ok=True)
    _forget_parts(run, before=checkpoint.step)


def checkpoint_paths(run: Path) -> list[Path]:
    """Return the checkpoint files of a run, newest first."""
    folder = run / CHECKPOINTS
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the checkpoint in a file.

    Raises:  UsageError or ModelFileError, as for a model file
    """
    arrays, texts, _ = read_sealed(path, CHECKPOINT, MAX_BYTES)
    whole = _joined(path, texts["facts"].get(PARTS, []))
    return Checkpoint(_step(path), {**arrays, **whole}, texts["config"], texts["facts"])


def _joined(path: Path, checksums: Sequence[str]) -> dict[str, np.ndarray]:
    """Assemble the arrays that are stored as slices."""
    arrays: dict[str, np.ndarray] = {}
    missing: dict[str, int] = {}
    for rank, expected in enumerate(checksums):
        part = _part(path.parent, _step(path), rank, str(expected))
        if not part.exists():
            raise ModelFileError("damaged: a file with its slices is missing", where=str(part))
        content = read_sealed(part, SLICES, MAX_BYTES)
        if content.checksum != expected:
            raise ModelFileError(f"damaged: these are not the slices that {path.name} refers to", where=str(part))
        for key, numbers in content.arrays.items():
            name = key.rpartition("#")[0]
            try:
                spec = content.texts["places"][key]
                array = arrays.setdefault(name, np.empty(spec["shape"], numbers.dtype))
                array[tuple(slice(*ends) for ends in spec["place"])] = numbers
            except (KeyError, TypeError, ValueError, IndexError, MemoryError) as error:
                raise ModelFileError(f"damaged: {key} has no valid place: {error}", where=str(part)) from None
            missing[name] = missing.get(name, array.size) - numbers.size
    for name, count in missing.items():
        if count:
            raise ModelFileError(f"damaged: {count:,} of its numbers are missing", where=f"{path}: {name}")
    return arrays


def forget_checkpoints(run: Path, *, but: Path | None = None, after: int = -1) -> None:
    """Delete the checkpoints of a run after a step, except `but`, and their folder if that leaves it empty."""
    for path in checkpoint_paths(run):
        if path != but and _step(path) > after:
            path.unlink(missing_ok=True)
    _forget_parts(run)
    with contextlib.suppress(OSError):
        (run / CHECKPOINTS).rmdir()


def _forget_parts(run: Path, before: float = math.inf) -> None:
    """Delete slices of earlier steps without a checkpoint; those of later steps may still be in the making."""
    steps = {_step(path) for path in checkpoint_paths(run)}
    for path in (run / CHECKPOINTS).glob("step-*.part-*"):
        match = PART.fullmatch(path.name)
        if match and (step := int(match[1])) < before and step not in steps:
            path.unlink(missing_ok=True)


def _step(path: Path) -> int:
    match = NAME.fullmatch(path.name)
    return int(match[1]) if match else 0
