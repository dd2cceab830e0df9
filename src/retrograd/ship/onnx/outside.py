"""Weights beside a file: a protocol buffer ends at two gigabytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrograd.record.files import write_file
from retrograd.ship.onnx.library import onnx

LARGEST = 2**31 - 2**20  # bytes of constants: the nodes need room too
LEAST = 1024  # bytes of a constant that lies outside
PAGE = 4096  # where each begins, so that runtimes can map it into memory
SUFFIX = ".data"


@dataclass(frozen=True)
class Outside:
    """A model whose large constants lie beside it, `arrays` by name; its methods are called as a model's are."""

    model: Any
    arrays: Mapping[str, np.ndarray]

    def SerializeToString(self) -> bytes:
        """Return the model without these constants."""
        data: bytes = self.model.SerializeToString()
        return data

    def ByteSize(self) -> int:
        """Return the bytes of both."""
        return int(self.model.ByteSize()) + sum(array.nbytes for array in self.arrays.values())


def is_outside(constants: Mapping[str, np.ndarray]) -> bool:
    """Return whether constants are too large for one file."""
    return sum(array.nbytes for array in constants.values()) > LARGEST


def lies_outside(array: np.ndarray) -> bool:
    """Return whether one of these constants is large enough to lie outside."""
    return array.dtype.kind not in "OU" and array.nbytes >= LEAST


def pointer(name: str, array: np.ndarray) -> Any:
    """Return a tensor that says where its numbers lie, once `write_model` has told it."""
    package = onnx()
    tensor = package.TensorProto(name=name, dims=array.shape, data_location=package.TensorProto.EXTERNAL)
    tensor.data_type = package.helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor.external_data.add(key="location", value=SUFFIX)
    return tensor


def write_model(path: Path, model: Any) -> Path | None:
    """Write a model; return the path of what lies beside it, if anything does."""
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
