"""The tensors in a folder of safetensors files, memory-mapped after the header of each file has been checked."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, Problem, UsageError
from retrograd.record.files import open_regular, read_text
from retrograd.record.header import PLAIN, read_header
from retrograd.record.strict_json import parse_json

ALONE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 2**24
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
AS_SAFETENSORS = (
    "such files can run code when read, so retrograd does not read them: if you trust them, convert them to "
    "safetensors with transformers (`model.save_pretrained(DIR, safe_serialization=True)`)"
)
ALIGNED = 64  # bytes; JAX uses an array with this alignment without a copy


class Tensor(NamedTuple):
    """The location of a tensor: its file and offset, and its dtype and shape."""

    path: Path
    begin: int
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in the file, in bytes."""
        return self.size * self.dtype.itemsize


class Tensors(Mapping[str, Tensor]):
    """The tensors of a folder by name; `read` returns the numbers of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tensors: dict[str, Tensor] = {}
        for path, names in _files(folder).items():
            tensors = _tensors_of(path)
            missing = [name for name in names or tensors if name not in tensors]
            if missing:
                raise ModelFileError([Problem(f"{path}: tensor {show(name)}", f"missing, though listed in {INDEX}")
                                      for name in missing])  # fmt: skip
            self._tensors |= {name: tensors[name] for name in names or tensors}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def bytes(self) -> int:
        """The total size of the tensors, in bytes."""
        return sum(tensor.nbytes for tensor in self.values())

    @property
    def digest(self) -> str:
        """The SHA-256 of names, shapes, dtypes and bits: it does not depend on the files that contain them."""
        content = hashlib.sha256()
        for name in sorted(self):
            tensor = self[name]
            content.update(json.dumps([name, tensor.dtype.name, tensor.shape]).encode() + b"\n")
            content.update(self._mapped(tensor).data)
        return content.hexdigest()

    def read(self, name: str, take: Any, dtypes: Mapping[Any, Any]) -> dict[Any, np.ndarray]:
        """Return the parts that `take` extracts from a view of the tensor, each converted to its dtype.

        The pages read from the file are released before this returns: at most one tensor is in memory twice.
        """
        whole = self._mapped(self[name])
        return {place: _aligned(part, dtypes[place]) for place, part in take(whole).items()}

    def _mapped(self, tensor: Tensor) -> np.ndarray:
        """Return a view of a tensor in its file; the mapping lives as long as the last view."""
        with open_regular(tensor.path) as stream:
            if stream.seek(0, 2) < tensor.begin + tensor.nbytes:
                raise ModelFileError("truncated while being read", where=str(tensor.path))
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        whole: np.ndarray = np.frombuffer(mapped, tensor.dtype, tensor.size, tensor.begin)
        return whole.reshape(tensor.shape)


def _aligned(part: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a copy aligned so that JAX can use it without another copy."""
    dtype = np.dtype(dtype)
    room = np.empty(part.size * dtype.itemsize + ALIGNED, np.uint8)
    start = -room.ctypes.data % ALIGNED
    copy: np.ndarray = room[start : start + part.size * dtype.itemsize].view(dtype).reshape(part.shape)
    np.copyto(copy, part, casting="unsafe")
    return copy


def _files(folder: Path) -> dict[Path, tuple[str, ...]]:
    """Return the safetensors files of a folder, each with its tensors according to the index; () without an index.

    Raises:  UsageError if there are none, with advice about files of other kinds
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where=str(folder), cure="name the folder with config.json and *.safetensors")
    if (folder / INDEX).exists():
        return _indexed(folder)
    paths = [folder / ALONE] if (folder / ALONE).exists() else sorted(folder.glob("*.safetensors"))
    if len(paths) == 1:
        return {paths[0]: ()}
    if paths:
        names = ", ".join(path.name for path in paths)
        raise UsageError(f"several files but no {INDEX}: {names}", where=str(folder), cure=f"add {INDEX}")
    pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickles:
        raise UsageError(f"no safetensors file, only {', '.join(pickles)}", where=str(folder), cure=AS_SAFETENSORS)
    raise UsageError("no safetensors file", where=str(folder), cure=f"expected {ALONE}, or {INDEX} and its shards")


def _indexed(folder: Path) -> dict[Path, tuple[str, ...]]:
    place = folder / INDEX
    try:
        stored = parse_json(read_text(place, MAX_INDEX_BYTES))["weight_map"]
        pairs = [(str(name), file) for name, file in stored.items()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(f"not an index of shards: {error}", where=str(place)) from None
    files: dict[Path, tuple[str, ...]] = {}
    for name, file in pairs:
        if not isinstance(file, str) or os.path.basename(file) != file or not file.endswith(".safetensors"):
            raise ModelFileError(f"{show(file)} is not a safetensors file in this folder", where=f"{place}: {name}")
        files[folder / file] = (*files.get(folder / file, ()), name)
    absent = [path.name for path in files if not path.exists()]
    if absent:
        raise ModelFileError(f"missing: {', '.join(absent)}", where=str(place), cure="download the missing shards")
    return files


def _tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one file, after checking that they fill it exactly.

    Raises:  ModelFileError naming the rule that the file breaks
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        header = read_header(stream, size, str(path), PLAIN)
    begin = len(header.raw)
    header.tensors.update(sorted(((name, header.tensors.pop(name)) for name in [*header.tensors]), key=_first_byte))
    tensors: dict[str, Tensor] = {}
    for entry in header.entries():
        tensors[entry.name] = Tensor(path, begin, entry.dtype, entry.shape)
        begin += entry.nbytes
    return tensors


def _first_byte(item: tuple[str, Any]) -> tuple[int, int]:
    """Return the sort key for file order; a tensor with invalid offsets comes first, where it is refused."""
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    is_valid = isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)
    return (offsets[0], offsets[1]) if is_valid and offsets else (-1, -1)
