"""The model file: weights and state, with the configuration and preprocessing that give them meaning.

It is a sealed safetensors file (`sealed.py`). Its tensors are named `params/<node>/<name>` and `state/<node>/<name>`,
its JSON texts `config`, `preprocessing` and `facts`. Averaged weights are `average_params/` and `average_state/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, Problem
from retrograd.record.header import MODEL
from retrograd.record.sealed import read_sealed, write_sealed
from retrograd.record.tree import Tree, flatten, is_path, unflatten

MAX_BYTES = 2**32
NO_AVERAGE: tuple[Tree, Tree] = ({}, {})
PARTS = ("params", "state", "average_params", "average_state")


@dataclass(frozen=True)
class ModelFile:
    """The contents of a model file; `facts` are results of training (metrics, seed, versions, and so on)."""

    params: dict[str, dict[str, np.ndarray]]
    state: dict[str, dict[str, np.ndarray]]
    config: dict[str, Any]
    preprocessing: dict[str, Any]
    facts: dict[str, Any]
    average_params: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    average_state: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


def save_model(
    path: Path,
    params: Tree,
    state: Tree,
    *,
    config: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    facts: Mapping[str, Any],
    average: tuple[Tree, Tree] = NO_AVERAGE,
) -> None:
    """Write a model file; a failure leaves an existing file intact. Equal models give equal files.

    The three mappings contain JSON values; tuples become lists, NaN and infinities the strings "nan", "inf", "-inf".

    Raises:  ResourceError if writing fails; UsageError for values that cannot be stored
    """
    arrays = {f"{part}/{path}": array for part, tree in zip(PARTS, (params, state, *average), strict=True)
              for path, array in flatten(tree).items()}  # fmt: skip
    write_sealed(Path(path), MODEL, arrays, {"config": config, "preprocessing": preprocessing, "facts": facts})


def load_model(path: Path, *, max_bytes: int = MAX_BYTES) -> ModelFile:
    """Read a model file after checking every byte of it. Nothing in it can run.

    Raises:  UsageError if there is no such file; ModelFileError if it is damaged or not a model file
    """
    arrays, texts, _ = read_sealed(Path(path), MODEL, max_bytes)
    for name in arrays:
        part, _, inner = name.partition("/")
        if part not in PARTS or not is_path(inner):
            where = f"{path}: tensor {show(name)}"
            raise ModelFileError("its name is not params/<node>/<name> or state/<node>/<name>", where=where)
    parts = {part: unflatten(_below(part, arrays)) for part in PARTS}
    return ModelFile(**parts, **texts)


def check_fits(tree: Tree, expected: Tree, *, where: str = "") -> None:
    """Compare the params or state of a file with those that a network expects ({node: {name: spec or array}}).

    Raises:  ModelFileError naming every array that is missing, superfluous, or has another shape or dtype
    """
    arrays, specs = flatten(tree), flatten(expected)
    problems = [Problem(path, f"missing, expected {_form(spec)}") for path, spec in specs.items() if path not in arrays]
    problems += [Problem(path, "not in the network") for path in arrays if path not in specs]
    both = [path for path in specs if path in arrays]
    problems += [Problem(path, text) for path in both if (text := _difference(specs[path], arrays[path]))]
    if problems:
        prefix = f"{where}: " if where else ""
        problems = [problem._replace(where=prefix + problem.where) for problem in sorted(problems)]
        problems[-1] = problems[-1]._replace(cure="these are the weights of another network")
        raise ModelFileError(problems)


def _below(part: str, arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    for name, array in arrays.items():
        if name.startswith(f"{part}/"):
            yield name.removeprefix(f"{part}/"), array


def _form(spec: Any) -> str:
    return f"{np.dtype(spec.dtype).name} {tuple(spec.shape)}"


def _difference(spec: Any, array: Any) -> str:
    if tuple(spec.shape) != tuple(array.shape):
        return f"expected {tuple(spec.shape)}, found {tuple(array.shape)}"
    if np.dtype(spec.dtype) != np.dtype(array.dtype):
        return f"expected {np.dtype(spec.dtype).name}, found {np.dtype(array.dtype).name}"
    return ""
