"""Trees of arrays {node: {name: array}}: their paths, their digest, and which are not finite."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from retrograd.base.errors import UsageError

Tree = Mapping[str, Mapping[str, Any]]


def flatten(tree: Tree) -> dict[str, Any]:
    """Return {node/name: array}; nodes without arrays are lost."""
    return {join(node, name): array for node, arrays in tree.items() for name, array in arrays.items()}


def unflatten(flat: Iterable[tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the tree for pairs of path and array; the last segment of a path is the name of the array."""
    tree: dict[str, dict[str, Any]] = {}
    for path, array in flat:
        node, _, name = path.rpartition("/")
        tree.setdefault(node, {})[name] = array
    return tree


def join(node: str, name: str) -> str:
    """Return the path of an array. Only the node may contain slashes, or the path could not be split again."""
    path = f"{node}/{name}"
    if "/" in name or not is_path(path):
        cure = "names must be printable and not empty, and the name of an array has no slash"
        raise UsageError(f"{path!r} is not a valid path of an array", cure=cure)
    return path


def is_path(path: str) -> bool:
    """Return whether a path has a node and a name, no empty segment, and no control characters."""
    return "/" in path and all(path.split("/")) and path.isprintable()


def digest(tree: Tree) -> str:
    """Return the SHA-256 of paths, shapes, dtypes and bits: equal digests mean weights that are equal bit for bit."""
    checksum = hashlib.sha256()
    for path, leaf in sorted(flatten(tree).items()):
        array = np.asarray(leaf)
        checksum.update(json.dumps([path, array.dtype.name, array.shape]).encode() + b"\n")
        checksum.update(raw_bytes(array))
    return checksum.hexdigest()


def nonfinite(tree: Tree) -> list[str]:
    """Return the paths of the arrays that contain NaN or infinity."""
    return [path for path, array in flatten(tree).items() if not np.isfinite(np.asarray(array)).all()]


def raw_bytes(array: np.ndarray) -> memoryview:
    """Return an array's bytes, little-endian and in C order; a view if the array already has that layout."""
    little = array.dtype.newbyteorder("<")
    return np.asarray(array, little, order="C").reshape(-1).view(np.uint8).data
