"""Finding sounds in folders, in a table of paths, or in arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import ConfigError, DataError
from retrograd.base.sentence import data_setting
from retrograd.data.audio.rows import Sounds
from retrograd.data.audio.wav import SUFFIXES
from retrograd.data.read.folders import files_below, folder_labels
from retrograd.data.table import Table
from retrograd.data.tables.paths import path_column, paths_in

PATH_NAMES = ("path", "file", "audio", "filename")
SAMPLES = {"uint8": (128, 128), "int16": (0, 1 << 15), "int32": (0, 1 << 31)}  # offset and scale of integers


def read_sound_folder(folder: Path) -> Sounds:
    """Return the sounds in a folder, with the names of sub-folders as labels.

    Raises:  DataError for a folder without sounds, or with sounds next to class folders
    """
    paths = list(files_below(folder, SUFFIXES))
    if not paths:
        raise DataError(f"no sounds (files ending in {', '.join(SUFFIXES)})", where=str(folder))
    return Sounds(tuple(paths), str(folder), folder_labels(paths, folder))


def sounds_of_table(table: Table, column: str | None) -> Sounds:
    """Return the sounds at the paths in a table.

    Raises:  DataError for a table without a column of paths, or with a row without a path
    """
    name = path_column(table, column, PATH_NAMES, "audio")
    rest = table.frame.drop(name)
    others = Table(rest, table.where, table.lines, table.missing_words) if rest.width else None
    return Sounds(paths_in(table, name), table.where, others)


def sounds_of_arrays(arrays: Mapping[str, Any], rate: int | None, where: str, target: str = "y") -> Sounds:
    """Return the sounds of arrays: x [rows, samples] or a list of samples [samples], and y [rows] or `target`.

    Samples are numbers from -1 to 1, or integers of 8 (unsigned), 16 or 32 bits.

    Raises:  ConfigError without a sample rate; DataError for other shapes or values
    """
    if rate is None:
        cure = "set " + data_setting("audio.sample_rate", "...")
        raise ConfigError("arrays have no sample rate of their own", where="data.audio.sample_rate", cure=cure)
    x, others = arrays.get("x"), [name for name in arrays if name not in ("x", "y", target)]
    if not isinstance(x, Sequence | np.ndarray) or isinstance(x, str) or not len(x) or others:
        expected = "expected sounds `x` [rows, samples], or a list of sounds, and optionally `y`"
        raise DataError(f"{expected}; have: {', '.join(arrays)}", where=where)
    sounds = tuple(as_samples(np.asarray(sound), f"{where}, row {i + 1}") for i, sound in enumerate(x))
    y = arrays.get(target, arrays.get("y"))
    if y is not None and len(y) != len(x):
        raise DataError(f"x has {len(x)} rows, {target} has {len(y)}", where=where)
    table = None if y is None else Table(pl.DataFrame({target: np.asarray(y).tolist()}), where)
    return Sounds(sounds, where, table, rate)


def as_samples(sound: np.ndarray, where: str) -> np.ndarray:
    """Return a sound's samples as numbers from -1 to 1."""
    if sound.ndim != 1 or not len(sound):
        raise DataError(f"expected samples (samples,), got {sound.shape}", where=where)
    if sound.dtype.name in SAMPLES:
        zero, one = SAMPLES[sound.dtype.name]
        return (sound.astype(np.float64) - zero) / one
    if sound.dtype.kind != "f" or not np.isfinite(sound).all():
        expected = f"finite numbers from -1 to 1, or {', '.join(SAMPLES)}"
        raise DataError(f"expected samples as {expected}, found {sound.dtype}", where=where)
    return sound.astype(np.float64)
