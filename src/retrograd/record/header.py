"""The header of a safetensors file: a length, then JSON with the position of each tensor; trusted only after checks.

    8 bytes: the header's length, little-endian | header | the bytes of the tensors, contiguous

The header is written here, not by the safetensors library, which orders metadata differently every time: equal models
must give equal files.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError
from retrograd.record.strict_json import parse_json

MAX_HEADER_BYTES = 2**24  # fits a vocabulary of half a million words, and parsing takes less than about 200 MB
MAX_TENSOR_BYTES = 2**40  # bounds the axes of empty tensors, which have 0 bytes whatever their other axes
MAX_AXES = 32
MAX_AXIS = 2**63
LENGTH_BYTES = 8
DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "I8": np.dtype("<i1"),
    "I16": np.dtype("<i2"),
    "I32": np.dtype("<i4"),
    "I64": np.dtype("<i8"),
    "U8": np.dtype("<u1"),
    "U16": np.dtype("<u2"),
    "U32": np.dtype("<u4"),
    "U64": np.dtype("<u8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
DTYPE_NAMES = {dtype.name: name for name, dtype in DTYPES.items()}
FOREIGN = {  # by the first bytes of the file
    b"PK\x03\x04": "a zip archive (.npz, .pt), which may contain pickled objects: nothing in it was opened",
    b"\x80": "a pickle, which could run code: nothing in it was opened",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
}


class Form(NamedTuple):
    """A kind of file: the `format` and version in its metadata, what it is called, and the names of its JSON texts.

    A file of another program has no `format`.
    """

    format: str
    version: int
    noun: str
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{'a retrograd' if self.format else 'a'} {self.noun}"


MODEL = Form("retrograd", 1, "model", ("config", "preprocessing", "facts"))
PLAIN = Form("", 0, "whole safetensors file", ())


class Entry(NamedTuple):
    """One tensor of a file."""

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    nbytes: int


@dataclass(frozen=True)
class Header:
    """An unchecked header: its bytes, its metadata, its tensors by name, and how many bytes follow it."""

    raw: bytes
    metadata: dict[str, str]
    tensors: dict[str, Any]
    body: int
    where: str
    form: Form = MODEL

    @property
    def is_ours(self) -> bool:
        """Whether the file claims to be written by retrograd."""
        return self.metadata.get("format") == self.form.format

    def entries(self) -> list[Entry]:
        """Return the tensors in file order, after checking that they fill the file exactly.

        Raises:  ModelFileError naming the tensor and the rule that it breaks
        """
        end = 0
        entries = []
        prefix = "" if self.is_ours else f"not {self.form}: "
        for name, plain in self.tensors.items():
            try:
                entry = _entry(name, plain, end, self.body)
            except ValueError as error:
                raise ModelFileError(f"{prefix}{error}", where=f"{self.where}: tensor {show(name)}") from None
            end += entry.nbytes
            entries.append(entry)
        if end != self.body:
            raise ModelFileError(
                f"{prefix}extra data after the last tensor ({self.body - end:,} bytes)", where=self.where
            )
        return entries


def write_header(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the length and header of a file with these arrays in this order."""
    plain: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        dtype = DTYPE_NAMES[array.dtype.name]
        plain[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [begin, end]}
    text = json.dumps(plain, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)  # so that the tensors begin at a multiple of 8
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def read_header(stream: io.BufferedReader, size: int, where: str, form: Form = MODEL) -> Header:
    """Read the header of a file of `size` bytes; `Header.entries` checks its tensors.

    Raises:  ModelFileError if it is not a safetensors file, or its header is invalid
    """
    first = stream.read(LENGTH_BYTES)
    length = int.from_bytes(first, "little")
    raw, fault = b"", ""
    if len(first) < LENGTH_BYTES or length > size - LENGTH_BYTES:
        fault = f"a header of {length:,} bytes would extend beyond the file's {size:,} bytes (truncated?)"
    elif length > MAX_HEADER_BYTES:
        fault = f"its header has {length:,} bytes, more than {MAX_HEADER_BYTES:,}"
    elif not (raw := stream.read(length)).startswith(b"{"):
        fault = "it has no safetensors header"
    if fault:
        raise ModelFileError(f"not {form}: {_foreign(first) or fault}", where=where)
    try:
        plain = parse_json(raw.decode())
    except UnicodeDecodeError as error:
        message = f"not {form}, or damaged: its header is not UTF-8 at byte {error.start}"
        raise ModelFileError(message, where=where) from None
    except ValueError as error:
        message = f"not {form}, or damaged: invalid header: {error}"
        raise ModelFileError(message, where=where) from None
    metadata = plain.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        message = f"not {form}, or damaged: __metadata__ does not map names to strings"
        raise ModelFileError(message, where=where)
    return Header(first + raw, metadata, plain, size - LENGTH_BYTES - length, where, form)


def _foreign(first: bytes) -> str:
    return next((words for magic, words in FOREIGN.items() if first.startswith(magic)), "")


def _entry(name: str, plain: Any, begin: int, body: int) -> Entry:
    """Check one tensor, whose bytes must start at `begin` and stay within the `body` bytes of the file."""
    if not isinstance(plain, dict) or set(plain) != {"dtype", "shape", "data_offsets"}:
        raise ValueError("expected an object with dtype, shape and data_offsets")
    if not isinstance(plain["dtype"], str) or plain["dtype"] not in DTYPES:
        raise ValueError(f"unknown dtype {show(plain['dtype'])}; known: {', '.join(DTYPES)}")
    dtype, shape = DTYPES[plain["dtype"]], plain["shape"]
    if not _are_sizes(shape) or len(shape) > MAX_AXES:
        raise ValueError(f"the shape must be a list of at most {MAX_AXES} integers, 0 or larger; found {show(shape)}")
    nbytes = dtype.itemsize * math.prod(shape)
    if nbytes > body or dtype.itemsize * math.prod(max(axis, 1) for axis in shape) > MAX_TENSOR_BYTES:
        raise ValueError(
            f"{plain['dtype']} {show(shape)} is larger than the {body:,} bytes of data in the file (truncated?)"
        )
    offsets = plain["data_offsets"]
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"data_offsets must be two integers, 0 or larger; found {show(offsets)}")
    _check_place(offsets[0], offsets[1], begin, nbytes, body)
    return Entry(name, dtype, tuple(shape), nbytes)


def _check_place(first: int, last: int, begin: int, nbytes: int, body: int) -> None:
    if first < begin:
        raise ValueError(f"its bytes start at {first} and overlap the previous tensor, or are out of order")
    if first > begin:
        raise ValueError(f"its bytes start at {first} and leave a gap of {first - begin} bytes before them")
    if last - first != nbytes:
        raise ValueError(f"data_offsets span {last - first} bytes, but its dtype and shape take {nbytes}")
    if last > body:
        raise ValueError(f"its bytes end at {last}, but the file has only {body} (truncated?)")


def _are_sizes(plain: Any) -> bool:
    return isinstance(plain, list) and all(type(number) is int and 0 <= number < MAX_AXIS for number in plain)
