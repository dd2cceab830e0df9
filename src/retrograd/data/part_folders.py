"""Folders that are the parts of a data set: train, val and test, each with the same folders of classes in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from retrograd.base.errors import DataError
from retrograd.data.images.reading import LABEL, files_below
from retrograd.data.images.rows import Images
from retrograd.data.texts.corpus import Corpus

NAMES = {
    "train": ("train", "training"),
    "valid": ("val", "valid", "validation", "validate", "dev", "development", "eval", "evaluation"),
    "test": ("test", "testing"),
}
PART_OF = {name: part for part, names in NAMES.items() for name in names}
BESIDE = ("set", "data", "dataset", "images", "imgs", "image", "texts", "seg", "folder", "split", "part")
BETWEEN = re.compile(r"[ _.\-]+")


def part_folders(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Return the folders of the parts `train`, `valid` and `test`; nothing where the sub-folders are something else.

    All sub-folders with files of these kinds must be parts, that of training among them.

    Raises:  DataError for two folders that would be the same part
    """
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith((".", "__"))]
    inner = [path for path in inner if next(files_below(path, suffixes), None) is not None]
    loose = any(path.is_file() and path.name.lower().endswith(suffixes) for path in folder.iterdir())
    named = {path: part_named(path.name) for path in inner}
    if loose or len(inner) < 2 or "train" not in named.values() or not all(named.values()):
        return {}
    found: dict[str, Path] = {}
    for path, part in named.items():
        if part in found:
            cure = f"name one of them: `data: {{path: ..., {'path' if part == 'train' else f'{part}_path'}: {path}}}`"
            raise DataError(
                f"{found[part].name} and {path.name} are both the part '{part}'", where=str(folder), cure=cure
            )
        found[str(part)] = _innermost(path, str(part))
    return {part: found[part] for part in NAMES if part in found}


def labelled_parts(folder: Path, train: Any, parts: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the further parts that were found in a folder without those that lack the classes of the training part,
    and sentences about them.
    """
    if not parts:
        return parts, ()
    names = {part: Path(rows.where).relative_to(folder) for part, rows in (("train", train), *parts.items())}
    places = [f"{'path' if part == 'train' else f'{part}_path'}: {folder / name}" for part, name in names.items()]
    shown = f"the folders {', '.join(map(str, names.values()))} are the parts (`data: {{{', '.join(places)}}}`)"
    bare = [part for part, rows in parts.items() if _is_labelled(train) and not _is_labelled(rows)]
    told = [
        f"{folder / names[part]}: {len(parts[part])} files without folders of classes, so not scored; `retrograd "
        "predict` gives their classes"
        for part in bare
    ]
    return {part: rows for part, rows in parts.items() if part not in bare}, (shown, *told)


def _is_labelled(rows: Any) -> bool:
    if isinstance(rows, Images):
        return rows.table is not None or rows.masks is not None
    return isinstance(rows, Corpus) or LABEL in rows.names


def part_named(name: str) -> str | None:
    """Return the part that a folder's name says: `training_set`, `Test` and `seg_train` as well as `train`."""
    words = [word for word in BETWEEN.split(name.lower()) if word and word not in BESIDE]
    return PART_OF.get(re.sub(r"(set|data)$", "", words[0])) if len(words) == 1 else None


def _innermost(path: Path, part: str) -> Path:
    """Return the folder itself, or the only one in it when that repeats its name, as unpacked archives do."""
    inside = [each for each in path.iterdir() if not each.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_dir() and part_named(inside[0].name) == part:
        return inside[0]
    return path
