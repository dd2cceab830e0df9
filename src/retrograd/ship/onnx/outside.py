"""Weights in a separate file, as a protocol buffer is limited to two gigabytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.record.files import write_file
from retrograd.ship.onnx.library import onnx

LARGEST = 2**31 - 2**20  # bytes of constants; the nodes need space too
LEAST = 1024  # bytes of a constant that is stored outside
PAGE = 4096  # alignment of constants, so that runtimes can map them into memory
SUFFIX = ".data"


@dataclass(frozen=True)
class Outside:
    """A model whose large constants, `arrays` by name, are in a separate file; its methods are named as a model's."""

    model: Any
    arrays: Mapping[str, np.ndarray]

    def SerializeToString(self) -> bytes:
        """Return the model without these constants."""
        data: bytes = self.model.SerializeToString()
        return data

    def ByteSize(self) -> int:
        """Return the total size in bytes."""
        return int(self.model.ByteSize()) + sum(array.nbytes for array in self.arrays.values())


def is_outside(constants: Mapping[str, np.ndarray]) -> bool:
    """Return whether constants are too large for one file."""
    return sum(array.nbytes for array in constants.values()) > LARGEST


def lies_outside(array: np.ndarray) -> bool:
    """Return whether a constant is large enough to be stored outside."""
    return array.dtype.kind not in "OU" and array.nbytes >= LEAST


def pointer(name: str, array: np.ndarray) -> Any:
    """Return a tensor that refers to numbers outside; `write_model` fills in their place."""
    package = onnx()
    tensor = package.TensorProto(name=name, dims=array.shape, data_location=package.TensorProto.EXTERNAL)
    tensor.data_type = package.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor.external_data.add(key="location", value=SUFFIX)
    return tensor


def write_model(path: Path, model: Any) -> Path | None:
    """Write a model; return the path of the separate file, if there is one."""
    if not isinstance(model, Outside):
        write_file(path, model.SerializeToString())
        return None
    beside, parts, at = path.with_name(path.name + SUFFIX), list[memoryview | bytes](), 0
    for tensor in model.model.graph.initializer:
        if tensor.name in model.arrays:
            array = model.arrays[tensor.name]
            del tensor.external_data[:]
            for key, value in (("location", beside.name), ("offset", at), ("length", array.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            parts += [array.reshape(-1).view(np.uint8).data, bytes(-array.nbytes % PAGE)]
            at += array.nbytes + len(parts[-1])
    write_file(beside, *parts)
    write_file(path, model.SerializeToString())
    return beside
