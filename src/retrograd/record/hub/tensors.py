"""The tensors of a folder of safetensors files, mapped into memory: each is believed once its file's header is."""

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
    "such files can run code when they are read, so they are not: write safetensors once, where you trust them, with "
    "transformers (`model.save_pretrained(DIR, safe_serialization=True)`)"
)
ALIGNED = 64  # bytes; where an array begins that JAX takes over without a copy


class Tensor(NamedTuple):
    """Where one tensor lies: its file, where its bytes begin there, and what they mean."""

    path: Path
    begin: int
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take in the file."""
        return self.size * self.dtype.itemsize


class Tensors(Mapping[str, Tensor]):
    """The tensors of a folder by name; `read` gives the numbers of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tensors: dict[str, Tensor] = {}
        for path, names in _files(folder).items():
            inside = _tensors_of(path)
            lacking = [name for name in names or inside if name not in inside]
            if lacking:
                raise ModelFileError([Problem(f"{path}: tensor {show(name)}", f"not there, though {INDEX} says so")
                                      for name in lacking])  # fmt: skip
            self._tensors |= {name: inside[name] for name in names or inside}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def bytes(self) -> int:
        """How many bytes of numbers there are."""
        return sum(tensor.nbytes for tensor in self.values())

    @property
    def digest(self) -> str:
        """The SHA-256 of names, shapes, dtypes and bits: of the content, wherever it lies and in however many files."""
        content = hashlib.sha256()
        for name in sorted(self):
            tensor = self[name]
            content.update(json.dumps([name, tensor.dtype.name, tensor.shape]).encode() + b"\n")
            content.update(self._mapped(tensor).data)
        return content.hexdigest()

    def read(self, name: str, take: Any, dtypes: Mapping[Any, Any]) -> dict[Any, np.ndarray]:
        """Return parts of a tensor in dtypes of their own: those that `take` gives of a view of the whole.

        The pages of the file that this reads are given back before it returns: no more than one tensor is in memory
        twice.
        """
        whole = self._mapped(self[name])
        return {at: _aligned(part, dtypes[at]) for at, part in take(whole).items()}

    def _mapped(self, tensor: Tensor) -> np.ndarray:
        """Return a view of a tensor in its file; the mapping ends with the last view, in an error too."""
        with open_regular(tensor.path) as stream:
            if stream.seek(0, 2) < tensor.begin + tensor.nbytes:
                raise ModelFileError("truncated while it was read", where=str(tensor.path))
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        whole: np.ndarray = np.frombuffer(mapped, tensor.dtype, tensor.size, tensor.begin)
        return whole.reshape(tensor.shape)


def _aligned(part: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a copy that begins where JAX can use it as it is."""
    dtype = np.dtype(dtype)
    room = np.empty(part.size * dtype.itemsize + ALIGNED, np.uint8)
    start = -room.ctypes.data % ALIGNED
    copy: np.ndarray = room[start : start + part.size * dtype.itemsize].view(dtype).reshape(part.shape)
    np.copyto(copy, part, casting="unsafe")
    return copy


def _files(folder: Path) -> dict[Path, tuple[str, ...]]:
    """Return the safetensors files of a folder, and which tensors an index says are in each; none where it says none.

    Raises:  UsageError for a folder without any, telling what to do about files of other kinds
    """
    if not folder.is_dir():
        raise UsageError("no such folder", where=str(folder), cure="give the folder with config.json and *.safetensors")
    if (folder / INDEX).exists():
        return _indexed(folder)
    alone = [folder / ALONE] if (folder / ALONE).exists() else sorted(folder.glob("*.safetensors"))
    if len(alone) == 1:
        return {alone[0]: ()}
    if alone:
        names = ", ".join(path.name for path in alone)
        raise UsageError(f"several files and no {INDEX}: {names}", where=str(folder), cure=f"add {INDEX}")
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
            raise ModelFileError(f"{show(file)} is no name of a safetensors file beside it", where=f"{place}: {name}")
        files[folder / file] = (*files.get(folder / file, ()), name)
    absent = [path.name for path in files if not path.exists()]
    if absent:
        raise ModelFileError(f"missing: {', '.join(absent)}", where=str(place), cure="fetch the missing shards")
    return files


def _tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of one file, once it is certain that they fill it exactly.

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
    """Return by which order tensors lie in a file; one that says nonsense is first, and refused there."""
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    whole = isinstance(offsets, list) and len(offsets) == 2 and all(type(offset) is int for offset in offsets)
    return (offsets[0], offsets[1]) if whole and offsets else (-1, -1)
