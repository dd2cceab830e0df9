"""A safetensors file with a checksum over every byte: written atomically, and trusted only if the checksum matches.

Its metadata are `format` (the kind of file), `version`, `checksum` (the SHA-256 of the whole file with zeros for these
64 digits), and JSON texts.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from retrograd.base.annotations import show
from retrograd.base.errors import ModelFileError, ResourceError, UsageError
from retrograd.record.files import open_regular, write_file
from retrograd.record.header import DTYPE_NAMES, MAX_HEADER_BYTES, Entry, Form, Header, read_header, write_header
from retrograd.record.strict_json import parse_json, write_json
from retrograd.record.tree import raw_bytes

BLANK = "0" * 64


class NewerFormatError(ModelFileError):
    """The file is not damaged, but was written by a later version."""


class Content(NamedTuple):
    """The contents of a file: arrays and JSON texts by name, and the checksum."""

    arrays: dict[str, np.ndarray]
    texts: dict[str, dict[str, Any]]
    checksum: str


def write_sealed(path: Path, form: Form, arrays: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a file and return its checksum; a failure leaves an existing file intact.

    Raises:  ResourceError if writing fails; UsageError for values that cannot be stored
    """
    checksum, pieces = sealed(form, arrays, texts, str(path))
    write_file(path, *pieces)
    return checksum


def sealed(
    form: Form, arrays: Mapping[str, Any], texts: Mapping[str, Mapping[str, Any]], where: str
) -> tuple[str, tuple[bytes | memoryview, ...]]:
    """Return the checksum and the bytes of a file with these contents. Equal contents give equal files.

    Texts contain JSON values; tuples become lists, NaN and infinities "nan", "inf", "-inf".

    Raises:  UsageError for values that cannot be stored
    """
    stored = {name: _storable(name, array) for name, array in arrays.items()}
    stored = dict(sorted(stored.items(), key=lambda item: (-item[1].itemsize, item[0])))  # aligned for every reader
    json_texts = {key: write_json(texts[key]) for key in form.texts}
    metadata = {"format": form.format, "version": str(form.version), "checksum": BLANK, **json_texts}
    header = write_header(stored, metadata)
    if len(header) > MAX_HEADER_BYTES:
        raise UsageError(
            f"names, {' and '.join(form.texts)} take {len(header):,} bytes, "
            f"more than the {MAX_HEADER_BYTES:,} that a {form.noun} file has room for",
            where=where,
            cure="limit the vocabulary",
        )
    body = [raw_bytes(array) for array in stored.values()]
    checksum = hashlib.sha256(header)
    for piece in body:
        checksum.update(piece)
    return checksum.hexdigest(), (header.replace(_seal(BLANK), _seal(checksum.hexdigest())), *body)


def read_sealed(path: Path, form: Form, max_bytes: int) -> Content:
    """Read a file after checking every byte of it. Nothing in it can run.

    Raises:  UsageError if there is no such file; ModelFileError if it is damaged or of another kind
    """
    with open_regular(path) as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        if size > max_bytes:
            cure = "raise max_bytes if you trust the file"
            raise ModelFileError(f"{size:,} bytes, more than the limit of {max_bytes:,}", where=str(path), cure=cure)
        header = read_header(stream, size, str(path), form)
        _check_version(header)
        arrays = _read_arrays(stream, header.entries(), header)
    return Content(arrays, {key: _parse(header, key) for key in form.texts}, header.metadata["checksum"])


def _storable(name: str, value: Any) -> np.ndarray:
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    if getattr(dtype, "name", "") not in DTYPE_NAMES:
        raise UsageError(f"arrays of type {dtype} cannot be stored", where=name)
    return np.asarray(value)


def _check_version(header: Header) -> None:
    """Refuse files of a later version before checking rules that it may have changed."""
    version, known = header.metadata.get("version", ""), header.form.version
    if header.is_ours and re.fullmatch("[0-9]{1,9}", version) and int(version) > known:
        message = f"the file has format {int(version)}, but this version only reads up to {known}"
        raise NewerFormatError(message, where=header.where, cure="use a newer version of retrograd")


def _blanked(header: Header) -> bytes:
    """Return the bytes of a complete file's header as they were when the checksum was computed."""
    if not header.is_ours:
        name = header.metadata.get("format", "")
        kind = f"a {name}" if name.startswith("retrograd") else "a safetensors file of another program"
        raise ModelFileError(f"not a retrograd {header.form.noun}: {kind}", where=header.where)
    if header.metadata.get("version") != str(header.form.version) or set(header.form.texts) - set(header.metadata):
        raise ModelFileError("damaged: incomplete metadata", where=header.where)
    checksum = header.metadata.get("checksum", "")
    seal = _seal(checksum) if re.fullmatch("[0-9a-f]{64}", checksum) else b""
    if not seal or header.raw.count(seal) != 1:
        raise ModelFileError("damaged: it has no checksum", where=header.where)
    return header.raw.replace(seal, _seal(BLANK))


def _seal(checksum: str) -> bytes:
    """Return the checksum entry of a header. Quotes inside JSON texts are escaped, so it occurs only once."""
    return f'"checksum":"{checksum}"'.encode()


def _read_arrays(stream: io.BufferedReader, entries: list[Entry], header: Header) -> dict[str, np.ndarray]:
    """Read the arrays, and check the checksum over every byte of the file."""
    checksum = hashlib.sha256(_blanked(header))
    arrays = {}
    for entry in entries:
        try:
            array = np.empty(entry.shape, entry.dtype)
        except MemoryError:
            message = f"out of memory: {show(entry.name)} takes {entry.nbytes:,} bytes"
            raise ResourceError(message, where=header.where) from None
        raw = array.reshape(-1).view(np.uint8)
        if stream.readinto(raw.data) != entry.nbytes:
            raise ModelFileError("truncated while being read", where=header.where)
        checksum.update(raw.data)
        arrays[entry.name] = array
    if checksum.hexdigest() != header.metadata["checksum"]:
        cure = "use an intact copy, or train again"
        raise ModelFileError("damaged: the contents do not match the checksum", where=header.where, cure=cure)
    for name, array in arrays.items():
        if array.dtype == np.bool_ and (array.view(np.uint8) > 1).any():
            where = f"{header.where}: tensor {show(name)}"
            raise ModelFileError("it contains bytes that are not booleans", where=where)
    return arrays


def _parse(header: Header, key: str) -> dict[str, Any]:
    try:
        value = parse_json(header.metadata[key])
    except ValueError as error:
        raise ModelFileError(f"its {key} is damaged: {error}", where=header.where) from None
    if not isinstance(value, dict):
        raise ModelFileError(f"its {key} is damaged: expected an object, found {show(value)}", where=header.where)
    return value
