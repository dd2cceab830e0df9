"""Trees of arrays {node: {name: array}}: their paths, their digest, and where they are not finite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from retrograd.base.errors import UsageError

Tree = Mapping[str, Mapping[str, Any]]


def flatten(tree: Tree) -> dict[str, Any]:
    """Return {node/name: array}; nodes without arrays leave nothing behind."""
    return {join(node, name): array for node, arrays in tree.items() for name, array in arrays.items()}


def unflatten(flat: Iterable[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tree of paths and arrays: the last segment of a path is the array's name."""
    tree: dict[str, dict[str, Any]] = {}
    for path, array in flat:
        node, _, name = path.rpartition("/")
        tree.setdefault(node, {})[name] = array
    return tree


def join(node: str, name: str) -> str:
    """Return the path of an array. Only a node's path may hold slashes, or it could not be taken apart again."""
    path = f"{node}/{name}"
    if "/" in name or not is_path(path):
        cure = "names are printable and not empty, and an array's own has no slash"
        raise UsageError(f"{path!r} is no path of an array", cure=cure)
    return path


def is_path(path: str) -> bool:
    """Whether a path has a node and a name, no empty segment, and nothing that a terminal would obey."""
    return "/" in path and all(path.split("/")) and path.isprintable()


def digest(tree: Tree) -> str:
    """Return the SHA-256 of paths, shapes, dtypes and bits: equal digests mean weights that are equal bit for bit."""
    found = hashlib.sha256()
    for path, given in sorted(flatten(tree).items()):
        array = np.asarray(given)
        found.update(json.dumps([path, array.dtype.name, array.shape]).encode() + b"\n")
        found.update(raw_bytes(array))
    return found.hexdigest()


def nonfinite(tree: Tree) -> list[str]:
    """Return the paths of the arrays that hold NaN or infinity."""
    return [path for path, array in flatten(tree).items() if not np.isfinite(np.asarray(array)).all()]


def raw_bytes(array: np.ndarray) -> memoryview:
    """Return an array's bytes, little-endian and in C order; a view of the array where it lies so already."""
    little = array.dtype.newbyteorder("<")
    return np.asarray(array, little, order="C").reshape(-1).view(np.uint8).data
