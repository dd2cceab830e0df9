"""Checkpoints of a run, in `checkpoints/` of its folder: where it stood at some steps, and in its events.

One file each, named by its step, with a checksum over every byte and replaced as a whole. It counts only together with
the events that were recorded before it: their number of bytes and their SHA-256 stand in its facts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.record.files import make_folder
from retrograd.record.header import Form
from retrograd.record.layout import CHECKPOINTS
from retrograd.record.sealed import read_sealed, write_sealed

CHECKPOINT = Form("retrograd checkpoint", 1, "checkpoint", ("config", "facts"))
MAX_BYTES = 2**40
NAME = re.compile(r"step-(\d{12})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """A run's arrays by name, its configuration, and what else its place needs (see `training/checkpoints.py`)."""

    step: int
    arrays: Mapping[str, np.ndarray]
    config: Mapping[str, Any]
    facts: Mapping[str, Any]


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


def checkpoint_paths(run: Path) -> list[Path]:
    """Return the files of a run's checkpoints, the newest first."""
    folder = run / CHECKPOINTS
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((path for path in paths if NAME.fullmatch(path.name)), reverse=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises:  UsageError, ModelFileError as for a model file
    """
    arrays, texts = read_sealed(path, CHECKPOINT, MAX_BYTES)
    return Checkpoint(_step(path), arrays, texts["config"], texts["facts"])


def forget_checkpoints(run: Path, *, but: Path | None = None, after: int = -1) -> None:
    """Delete the checkpoints of a run after a step, all but one; a folder that is empty then as well."""
    for path in checkpoint_paths(run):
        if path != but and _step(path) > after:
            path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (run / CHECKPOINTS).rmdir()


def _step(path: Path) -> int:
    matched = NAME.fullmatch(path.name)
    return int(matched[1]) if matched else 0
