"""Which files a configuration may refer to in the studio: those below the data folder, and uploads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from retrograd.base.errors import UsageError

DATA = ("path", "valid_path", "test_path", "target")  # data settings that are, or may be, paths
GLOB = set("*?[")


def below(roots: tuple[Path, ...], text: str, where: str) -> Path:
    """Return the real path of a file given relative to the first root.

    Raises:  UsageError if it is outside all roots, after resolving links
    """
    try:
        path = Path(os.path.realpath(roots[0] / text))
    except ValueError:  # a NUL
        raise UsageError("not a valid path", where=where) from None
    if not any(path == root or root in path.parents for root in roots):
        cure = f"put it below {roots[0]}, or start the studio with --data FOLDER"
        raise UsageError("the path is outside the data folder", where=where, cure=cure)
    return path


def changes_for(values: Mapping[str, Any], roots: tuple[Path, ...], runs: Mapping[str, Path]) -> list[str]:
    """Return the changes that make a configuration's paths absolute, for `--set`.

    Raises:  UsageError for a path outside the data folder, and for a start that is not a run here
    """
    return [f"{name}={path}" for name, path in _paths(values, roots, runs)]


def _paths(
    values: Mapping[str, Any], roots: tuple[Path, ...], runs: Mapping[str, Path]
) -> Iterator[tuple[str, Path | str]]:
    data = values.get("data")
    if isinstance(data, Mapping):
        for name in DATA:
            value = data.get(name)
            if not isinstance(value, str) or (name == "target" and not str(data.get("path", "")).endswith(".npy")):
                continue
            fixed = value[: min((value.index(c) for c in GLOB if c in value), default=len(value))]
            checked = below(roots, os.path.dirname(fixed) if fixed != value else value, f"data.{name}")
            yield f"data.{name}", checked if fixed == value else checked / os.path.basename(value)
        if data.get("cache") is not None:
            raise UsageError("not supported in the studio", where="data.cache", cure="train it on the command line")
        text = data.get("text")
        if isinstance(text, Mapping) and isinstance(text.get("tokenizer"), str):
            yield "data.text.tokenizer", below(roots, text["tokenizer"], "data.text.tokenizer")
    weights = values.get("weights")
    path = weights.get("path") if isinstance(weights, Mapping) else weights
    if path is not None:
        yield "weights.path" if isinstance(weights, Mapping) else "weights", below(roots, str(path), "weights.path")
    training = values.get("training")
    start = training.get("start") if isinstance(training, Mapping) else None
    if start is not None:
        name = Path(str(start)).name if Path(str(start)).parent in {path.parent for path in runs.values()} else start
        if name not in runs:
            cure = "use the folder name of a run"
            raise UsageError("not a run of this studio", where="training.start", cure=cure)
        yield "training.start", runs[str(name)]
