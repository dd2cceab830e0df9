"""Folders as data: files, sub-folders as labels, and train, val and test as the parts of a data set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from retrograd.base.errors import DataError
from retrograd.base.sentence import setting
from retrograd.data.table import SHOWN, Table
from retrograd.present.wording import some_of

NAMES = {
    "train": ("train", "training"),
    "valid": ("val", "valid", "validation", "validate", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
PART_OF = {name: part for part, names in NAMES.items() for name in names}
BESIDE = ("set", "data", "dataset", "images", "imgs", "image", "texts", "seg", "folder", "split", "part")
BETWEEN = re.compile(r"[ _.\-]+")
LABEL = "label"
DEEPEST = 3  # maximum depth below the given folder


def files_below(folder: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files with these suffixes in a folder and its sub-folders (three deep), sorted, except hidden ones."""
    for place, folders, files in os.walk(folder):
        is_deep = len(Path(place).relative_to(folder).parts) >= DEEPEST
        folders[:] = [] if is_deep else sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(suffixes) and not name.startswith("."):
                yield Path(place) / name


def folder_labels(paths: list[Path], root: Path) -> Table | None:
    """Return the sub-folder of each file as its label; None if all files are in the folder itself."""
    inside = [path.relative_to(root).parts for path in paths]
    loose = [str(path) for path, parts in zip(paths, inside, strict=True) if len(parts) == 1]
    if len(loose) == len(paths):
        return None
    if loose:
        cure = "put each file in the sub-folder of its class"
        raise DataError(f"files next to class folders: {some_of(loose, SHOWN)}", where=str(root), cure=cure)
    frame = pl.DataFrame({"path": [str(path) for path in paths], LABEL: [parts[0] for parts in inside]})
    return Table(frame, str(root))


def part_folders(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the folders of the parts `train`, `valid` and `test`; empty if the sub-folders are something else.

    All sub-folders with such files must be parts, including a training part.

    Raises:  DataError for two folders that would be the same part
    """
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
    inner = [path for path in inner if next(files_below(path, suffixes), None) is not None]
    loose = any(path.is_file() and path.name.lower().endswith(suffixes) for path in folder.iterdir())
    named = {path: part_named(path.name) for path in inner}
    if loose or len(inner) < 2 or "train" not in named.values() or not all(named.values()):
        return {}
    folders: dict[str, Path] = {}
    for path, part in named.items():
        if part in folders:
            key = "path" if part == "train" else f"{part}_path"
            cure = "choose one: " + setting("data", f"{{path: ..., {key}: {path}}}")
            raise DataError(
                f"{folders[part].name} and {path.name} are both the part '{part}'", where=str(folder), cure=cure
            )
        folders[str(part)] = _innermost(path, str(part))
    return {part: folders[part] for part in NAMES if part in folders}


def part_named(name: str) -> str | None:
    """Return the part that a folder name stands for, as in `training_set`, `Test`, `seg_train` or `train`."""
    words = [word for word in BETWEEN.split(name.lower()) if word and word not in BESIDE]
    return PART_OF.get(re.sub(r"(set|data)$", "", words[0])) if len(words) == 1 else None


def _innermost(path: Path, part: str) -> Path:
    """Return the folder itself, or the only folder in it if that repeats its name, as in unpacked archives."""
    inside = [inner for inner in path.iterdir() if not inner.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and part_named(inside[0].name) == part:
        return inside[0]
    return path
